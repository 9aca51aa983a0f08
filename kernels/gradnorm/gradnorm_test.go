package gradnorm

import (
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// launch of gradients whose norm is to be within a share of the right one, be that
// below 1 or not.
func launch(gradients []float64, within float64) kerneltest.Launch {
	want := reference(gradients)
	return kerneltest.Launch{
		Kernel: New(), Within: within * math.Min(1, want),
		In:  []kerneltest.Operand{{Shape: tensor.Shape{len(gradients)}, Before: gradients}},
		Out: kerneltest.Operand{Shape: tensor.ScalarShape(), After: []float64{want}},
	}
}

func random(n int) []float64 {
	rng := rand.New(rand.NewPCG(1, 1))
	g := make([]float64, n)
	for i := range g {
		g[i] = float64(float32(rng.NormFloat64()))
	}
	return g
}

func TestNorm(t *testing.T) {
	for _, n := range []int{1, 100, Block, 3*Block + 17} {
		kerneltest.CheckLaunchCPU(t, launch(random(n), 1e-6))
	}
	for _, n := range []int{1, 3, 100, 4*threads + 1, 300_007} {
		kerneltest.CheckLaunchCUDA(t, launch(random(n), 1e-7))
	}
	// Squares beyond float32, and below it.
	for _, x := range []float64{1e30, 1e-30} {
		kerneltest.CheckLaunchCUDA(t, launch([]float64{float64(float32(x)), x, x, x, 0}, 1e-6))
	}
}

// What is no number is noticed.
func TestNotFinite(t *testing.T) {
	for _, n := range []int{1, 3, 100, 4*threads + 1} {
		for _, bad := range []float64{math.NaN(), math.Inf(-1)} {
			gradients := random(n)
			gradients[n/2] = bad
			l := launch(gradients, 1e-6)
			l.Out.After = []float64{math.Abs(bad)}
			l.Within = 1e-6
			kerneltest.CheckLaunch(t, l)
		}
	}
}

// The gradients are read once, in whole sectors.
func TestTrafficCUDA(t *testing.T) {
	const n = 300 * 4 * threads
	l := launch(random(n), 1e-7)
	l.Moves = 4 * n
	kerneltest.CheckLaunchCUDA(t, l)
}

// TestSums: the bits of partial sums, and what becomes of them. Sums are whole, so that all bits are known.
func TestSums(t *testing.T) {
	bits := func(sums ...float64) (all []float64) {
		for _, s := range sums {
			b := math.Float64bits(s)
			all = append(all, float64(math.Float32frombits(uint32(b))), float64(math.Float32frombits(uint32(b>>32))))
		}
		return all
	}
	gradients := make([]float64, 2*Block+7)
	for i := range gradients {
		gradients[i] = float64(i % 2)
	}
	sums := bits(Block/2, Block/2, 3)
	kerneltest.CheckLaunch(t, kerneltest.Launch{
		Kernel: NewSquares(), In: []kerneltest.Operand{{Shape: tensor.Shape{len(gradients)}, Before: gradients}},
		Out: kerneltest.Operand{Shape: tensor.Shape{len(sums)}, After: sums},
	})
	kerneltest.CheckLaunch(t, kerneltest.Launch{
		Kernel: NewRoot(), In: []kerneltest.Operand{{Shape: tensor.Shape{6}, Before: bits(4, 20, 1)}},
		Out: kerneltest.Operand{Shape: tensor.ScalarShape(), After: []float64{5}},
	})
}

// TestParts: the norm of parts is that of all, to the bit.
func TestParts(t *testing.T) {
	set, err := cpu.Select("")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(2, set)
	defer pool.Close()
	run := func(k kernels.Kernel, x []float32, values int) []float32 {
		out := make([]float32, values)
		operand := func(x []float32) kernels.Operand {
			return kernels.Operand{Matrix: cpu.Matrix{Data: x, Rows: 1, Cols: len(x), Pitch: len(x)}, Shape: tensor.Shape{len(x)}, Type: number.Float32}
		}
		k.CPU(kernels.Launch{In: []kernels.Operand{operand(x)}, Out: operand(out), Threads: 2})(pool)
		return out
	}
	x := make([]float32, 5*Block+123)
	for _, bad := range []float32{0, float32(math.NaN()), float32(math.Inf(1)), 1e30} {
		for i, e := range random(len(x)) {
			x[i] = float32(e)
		}
		x[3*Block+7] += bad
		want := run(New(), x, 1)[0]
		var bits []float32
		for at := 0; at < len(x); {
			end := min(len(x), at+(1+at%3)*Block)
			bits = append(bits, run(NewSquares(), x[at:end], SumFloats*Blocks(end-at))...)
			at = end
		}
		if got := Norm(bits); math.Float32bits(got) != math.Float32bits(want) {
			t.Errorf("the norm of parts is %g, of all %g", got, want)
		}
	}
}

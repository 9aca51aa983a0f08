package sgd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
	"fluxion/kernels/optim"

	"gorgonia.org/tensor"
)

// The layout of a row is the one that sgd.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "sgd.cu", "Row", Row{}) }

const testNorm = 100 // of the gradients, above what steps that clip allow

// steps are those of the tests: with and without clipping, with each kind of step.
func steps(t *testing.T, check func(t *testing.T, s *Hyper)) {
	for _, clip := range []float64{0, 0.5} {
		for _, momentum := range []float64{0, 0.9} {
			for _, nesterov := range []bool{false, momentum > 0} {
				t.Run(fmt.Sprintf("clip %g, momentum %g, Nesterov %t", clip, momentum, nesterov), func(t *testing.T) {
					check(t, &Hyper{LearningRate: 1e-2, Momentum: momentum, Nesterov: nesterov, WeightDecay: 0.1, Clip: optim.Clip{Scale: 0.25, Norm: clip}, EMADecay: 0.8})
				})
			}
		}
	}
}

// compare holds parameters, velocity and average after a step against the reference.
func compare(t *testing.T, s *Hyper, got, before [3][]float32, gradients []float64) {
	t.Helper()
	for i := range gradients {
		p, v, a := s.reference(float64(before[0][i]), gradients[i], float64(before[1][i]), float64(before[2][i]), testNorm)
		for j, w := range []float64{p, v, a} {
			if math.Abs(float64(got[j][i])-w) > 1e-6*(1+math.Abs(w)) {
				t.Fatalf("element %d of buffer %d: got %v, want %v", i, j, got[j][i], w)
			}
		}
	}
}

func random(rng *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(rng.NormFloat64()))
	}
	return v
}

func floats(v []float64) []float32 {
	f := make([]float32, len(v))
	for i, x := range v {
		f[i] = float32(x)
	}
	return f
}

// TestReference: against the recurrences of torch.optim.SGD, written out for two steps
// of one weight from 1, with gradients of 1 and 2, μ = ½, decay 0.1 and a rate of 0.1.
func TestReference(t *testing.T) {
	for nesterov, want := range map[bool]float64{false: 1 - 0.11 - 0.1*(0.55+2.089), true: 1 - 0.1*1.65 - 0.1*(2.0835+0.5*(0.55+2.0835))} {
		s := &Hyper{LearningRate: 0.1, Momentum: 0.5, Nesterov: nesterov, WeightDecay: 0.1, Clip: optim.Clip{Scale: 1}}
		p, v := 1.0, 0.0
		for _, g := range []float64{1, 2} {
			p, v, _ = s.reference(p, g, v, 0, 1)
		}
		if math.Abs(p-want) > 1e-15 {
			t.Errorf("Nesterov %t: the weight is %v, want %v", nesterov, p, want)
		}
	}
}

// TestSteps runs several steps on the CPU and compares each with the reference.
func TestSteps(t *testing.T) {
	const n = 2*optim.Block + 39
	k, err := cpu.Select("")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(2, k)
	defer pool.Close()
	steps(t, func(t *testing.T, s *Hyper) {
		rng := rand.New(rand.NewPCG(1, 1))
		operand := func(b []float32) kernels.Operand {
			return kernels.Operand{Matrix: cpu.Matrix{Data: b, Rows: 1, Cols: len(b), Pitch: len(b)}, Shape: tensor.Shape{len(b)}}
		}
		buffers := [3][]float32{floats(random(rng, n)), make([]float32, n), make([]float32, n)}
		g, norm := make([]float32, n), []float32{testNorm}
		run := New(s).CPU(kernels.Launch{
			Out: operand(buffers[0]), In: []kernels.Operand{operand(g), operand(buffers[1]), operand(buffers[2]), operand(norm)}, Threads: 2,
		})
		clone := func() (c [3][]float32) {
			for i, b := range buffers {
				c[i] = slices.Clone(b)
			}
			return c
		}
		for range 3 {
			gradients := random(rng, n)
			copy(g, floats(gradients))
			before := clone()
			run(pool)
			compare(t, s, buffers, before, gradients)
		}
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			before := clone()
			norm[0] = float32(bad)
			run(pool)
			for i, b := range buffers {
				if !slices.Equal(b, before[i]) {
					t.Errorf("a step of norm %v changed buffer %d", bad, i)
				}
			}
		}
	})
}

// TestCUDA runs several steps on one table of rows and compares each with the reference.
func TestCUDA(t *testing.T) {
	for _, copied := range []bool{false, true} {
		steps(t, func(t *testing.T, s *Hyper) { checkCUDA(t, s, copied) })
	}
}

func checkCUDA(t *testing.T, s *Hyper, copied bool) {
	const n = 4*optim.Threads + 4*77 + 3
	k := New(s).(interface {
		cuda.Kernel
		cuda.Parameterised
	})
	rng := rand.New(rand.NewPCG(1, 1))
	zeros := make([]float64, n)
	g := kerneltest.NewGPU(t, 4)
	l := cuda.Launch{Out: g.Vector(number.Float32, random(rng, n)), In: []cuda.Operand{
		{}, g.Vector(number.Float32, zeros), g.Vector(number.Float32, zeros), g.Vector(number.Float32, []float64{testNorm})}}
	if copied {
		l.In = append(l.In, g.Vector(number.BFloat16, zeros))
	}
	values := func() [3][]float32 { return [3][]float32{g.Values(l.Out), g.Values(l.In[1]), g.Values(l.In[2])} }
	row := make([]byte, k.ParameterBytes())
	k.PutParameters(row)
	for step := range 3 {
		gradients := random(rng, n)
		l.In[0] = g.Vector(number.Float32, gradients)
		before := values()
		l.Parameters = g.Parameters(step, row, row, row)
		g.Run(k.CUDA(l)...)
		compare(t, s, values(), before, gradients)
		if !copied {
			continue
		}
		got := g.Values(l.Out)
		for i, x := range g.Values(l.In[copyInput]) {
			if x != number.Round(got[i]) {
				t.Fatalf("copy %d is %v of %v", i, x, got[i])
			}
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		before := values()
		l.In[3] = g.Vector(number.Float32, []float64{bad})
		g.Run(k.CUDA(l)...)
		for i, b := range values() {
			if !slices.Equal(b, before[i]) {
				t.Errorf("a step of norm %v changed buffer %d", bad, i)
			}
		}
	}
}

// A launch moves 30 bytes an element and little more, in whole sectors.
func TestTrafficCUDA(t *testing.T) {
	const n = 64 * optim.Threads
	g := kerneltest.NewSimulator(t, 1)
	on := func(typ number.Type) cuda.Operand { return g.Vector(typ, make([]float64, n)) }
	k := New(&Hyper{}).(interface {
		cuda.Kernel
		cuda.Parameterised
	})
	row := make([]byte, k.ParameterBytes())
	k.PutParameters(row)
	l := cuda.Launch{Out: on(number.Float32), Parameters: g.Parameters(0, row), In: []cuda.Operand{
		on(number.Float32), on(number.Float32), on(number.Float32), g.Vector(number.Float32, []float64{1}), on(number.BFloat16)}}
	kerneltest.Traffic(t, g.Run(k.CUDA(l)...), 30*n, 1.05)
}

package gradnorm

import (
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// onGPU runs the kernel with warps in an order that seed decides.
func onGPU(t *testing.T, gradients []float64, seed uint64) float32 {
	t.Helper()
	g := kerneltest.NewGPU(t, seed)
	l := cuda.Launch{In: []cuda.Operand{g.Vector(number.Float32, gradients)}, Out: g.Empty(number.Float32, 1, 1, 0)}
	l.Out.Shape = tensor.ScalarShape()
	k := New().(cuda.Kernel)
	l.Scratch = g.Alloc(k.CUDAScratch(l))
	g.Run(k.CUDA(l)...)
	return g.Values(l.Out)[0]
}

func TestCUDA(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 3, 100, 4*threads + 1, 300_007} {
		gradients := make([]float64, n)
		for i := range gradients {
			gradients[i] = float64(float32(rng.NormFloat64()))
		}
		got, want := onGPU(t, gradients, 1), reference(gradients)
		if math.Abs(float64(got)-want) > 1e-7*want {
			t.Errorf("%d floats: norm %v, want %v", n, got, want)
		}
		if got != onGPU(t, gradients, 2) {
			t.Errorf("%d floats: the order of warps changes the bits", n)
		}
		gradients[n/2] = math.NaN()
		if got := onGPU(t, gradients, 1); got == got {
			t.Errorf("%d floats: a NaN gives %v", n, got)
		}
		gradients[n/2] = math.Inf(-1)
		if got := onGPU(t, gradients, 1); !math.IsInf(float64(got), 1) {
			t.Errorf("%d floats: an infinity gives %v", n, got)
		}
	}
	// Squares beyond float32, and below it.
	for _, x := range []float64{1e30, 1e-30} {
		if got, want := float64(onGPU(t, []float64{x, x, x, x, 0}, 1)), 2*x; math.Abs(got-want) > 1e-6*want {
			t.Errorf("norm %v, want %v", got, want)
		}
	}
}

// The gradients are read once, in whole sectors.
func TestTrafficCUDA(t *testing.T) {
	const n = 300 * 4 * threads
	g := kerneltest.NewSimulator(t, 1)
	l := cuda.Launch{In: []cuda.Operand{g.Vector(number.Float32, make([]float64, n))}, Out: g.Empty(number.Float32, 1, 1, 0)}
	k := New().(cuda.Kernel)
	l.Scratch = g.Alloc(k.CUDAScratch(l))
	kerneltest.Traffic(t, g.Run(k.CUDA(l)...), 4*n, 1.05)
}

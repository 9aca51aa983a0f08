package ema

import (
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels/kerneltest"
	"fluxion/kernels/optim"

	"gorgonia.org/tensor"
)

// The layout of a row is the one that ema.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "ema.cu", "Row", Row{}) }

// launch is an update of n weights.
func launch(n int, decay, norm float64) kerneltest.Launch {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	h := &Hyper{Decay: decay}
	parameters, before, after := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		parameters[i], before[i] = float64(float32(rng.NormFloat64())), float64(i%11)
		after[i] = h.reference(parameters[i], before[i])
	}
	return kerneltest.Launch{
		Kernel: New(h), Within: 1e-6, Out: kerneltest.Operand{Shape: tensor.Shape{n}, Before: before, After: after},
		In: []kerneltest.Operand{{Shape: tensor.Shape{n}, Before: parameters}, {Shape: tensor.ScalarShape(), Before: []float64{norm}}},
	}
}

func TestUpdate(t *testing.T) {
	for _, decay := range []float64{0, 0.8, 1 - 1e-4, 1} {
		kerneltest.CheckLaunch(t, launch(4*optim.Threads+4*77+3, decay, 3))
		kerneltest.CheckLaunchCPU(t, launch(2*optim.Block+39, decay, 3))
	}
}

// A step whose gradients are not finite changes nothing.
func TestNotFinite(t *testing.T) {
	for _, norm := range []float64{math.NaN(), math.Inf(1)} {
		l := launch(1000, 0.8, norm)
		l.Out.After = nil
		kerneltest.CheckLaunch(t, l)
	}
}

// A launch moves 12 bytes an element and little more, in whole sectors.
func TestTrafficCUDA(t *testing.T) {
	const n = 64 * optim.Threads
	l := launch(n, 0.8, 1)
	l.Moves = 12 * n
	kerneltest.CheckLaunchCUDA(t, l)
}

package sgd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
	"fluxion/kernels/optim"

	"gorgonia.org/tensor"
)

// The layout of a row is the one that sgd.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "sgd.cu", "Row", Row{}) }

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

func random(n int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(rng.NormFloat64()))
	}
	return v
}

// launch is a step of n weights in the midst of a training.
func launch(n int, h Hyper, norm float64, copied bool) kerneltest.Launch {
	gradients := random(n, 1)
	before := [3][]float64{random(n, 2), random(n, 3), random(n, 4)}
	var after [3][]float64
	for i := range n {
		p, v, a := h.reference(before[0][i], gradients[i], before[1][i], before[2][i], norm)
		after[0], after[1], after[2] = append(after[0], p), append(after[1], v), append(after[2], a)
	}
	buffer := func(i int) kerneltest.Operand {
		return kerneltest.Operand{Shape: tensor.Shape{n}, Before: before[i], After: after[i]}
	}
	l := kerneltest.Launch{
		Kernel: New(&h), Within: 1e-6, Out: buffer(0),
		In: []kerneltest.Operand{{Shape: tensor.Shape{n}, Before: gradients}, buffer(1), buffer(2), {Shape: tensor.ScalarShape(), Before: []float64{norm}}},
	}
	if copied {
		l.In = append(l.In, kerneltest.Operand{Shape: tensor.Shape{n}, Type: number.BFloat16, Before: make([]float64, n), After: after[0]})
	}
	return l
}

// Steps with and without clipping, of each kind; on a GPU also those that keep a copy.
func TestSteps(t *testing.T) {
	for _, clip := range []float64{0, 0.5} {
		for _, momentum := range []float64{0, 0.9} {
			for _, nesterov := range []bool{false, momentum > 0} {
				t.Run(fmt.Sprintf("clip %g, momentum %g, Nesterov %t", clip, momentum, nesterov), func(t *testing.T) {
					h := Hyper{LearningRate: 1e-2, Momentum: momentum, Nesterov: nesterov, WeightDecay: 0.1, Clip: optim.Clip{Scale: 0.25, Norm: clip}, EMADecay: 0.8}
					const n, norm = 4*optim.Threads + 4*77 + 3, 100 // above what steps that clip allow
					kerneltest.CheckLaunch(t, launch(n, h, norm, false))
					kerneltest.CheckLaunchCUDA(t, launch(n, h, norm, true))
					kerneltest.CheckLaunchCPU(t, launch(2*optim.Block+39, h, norm, false))
				})
			}
		}
	}
}

// A step whose gradients are not finite changes nothing.
func TestNotFinite(t *testing.T) {
	for _, norm := range []float64{math.NaN(), math.Inf(1)} {
		l := launch(1000, Hyper{LearningRate: 1e-2, Clip: optim.Clip{Scale: 1, Norm: 0.5}}, norm, false)
		for i := range l.In {
			l.In[i].After = nil
		}
		l.Out.After = nil
		kerneltest.CheckLaunch(t, l)
	}
}

// A launch moves 30 bytes an element and little more, in whole sectors.
func TestTrafficCUDA(t *testing.T) {
	const n = 64 * optim.Threads
	l := launch(n, Hyper{LearningRate: 1e-2, Clip: optim.Clip{Scale: 1}}, 1, true)
	l.Moves = 30 * n
	kerneltest.CheckLaunchCUDA(t, l)
}

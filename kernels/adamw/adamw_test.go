package adamw

import (
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
	"fluxion/kernels/optim"

	"gorgonia.org/tensor"
)

// The layout of a row is the one that adamw.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "adamw.cu", "Row", Row{}) }

func random(n int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(rng.NormFloat64()))
	}
	return v
}

func single(v []float64) []float64 {
	s := make([]float64, len(v))
	for i, x := range v {
		s[i] = float64(float32(x))
	}
	return s
}

// state is the parameters, moments and average of a training.
type state [4][]float64

func begin(n int) state {
	return state{random(n, 1), make([]float64, n), make([]float64, n), make([]float64, n)}
}

// launch is a step from a state on; it returns the state after it.
func (s state) launch(step Hyper, norm float64, copied bool) (kerneltest.Launch, state) {
	n := len(s[0])
	gradients := random(n, uint64(2+step.Count))
	after := begin(n)
	for i := range n {
		after[0][i], after[1][i], after[2][i], after[3][i] = step.reference(s[0][i], gradients[i], s[1][i], s[2][i], s[3][i], norm)
	}
	buffer := func(i int) kerneltest.Operand {
		return kerneltest.Operand{Shape: tensor.Shape{n}, Before: s[i], After: after[i]}
	}
	l := kerneltest.Launch{
		Kernel: New(&step), Within: 1e-6, Out: buffer(0),
		In: []kerneltest.Operand{{Shape: tensor.Shape{n}, Before: gradients}, buffer(1), buffer(2), buffer(3), {Shape: tensor.ScalarShape(), Before: []float64{norm}}},
	}
	if copied {
		l.In = append(l.In, kerneltest.Operand{Shape: tensor.Shape{n}, Type: number.BFloat16, Before: make([]float64, n), After: after[0]})
	}
	for i := range after {
		after[i] = single(after[i])
	}
	return l, after
}

func training(clip float64) Hyper {
	return Hyper{LearningRate: 1e-2, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.1, Clip: optim.Clip{Scale: 0.25, Norm: clip}, EMADecay: 0.8, Count: 1}
}

// Several steps, with clipping and without; on a GPU also those that keep a copy.
func TestSteps(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, clip := range []float64{0, 0.5} {
		small, large := begin(4*optim.Threads+4*77+3), begin(2*optim.Block+39)
		for step := training(clip); step.Count <= 3; step.Count++ {
			var l kerneltest.Launch
			l, _ = small.launch(step, 100, true)
			kerneltest.CheckLaunchCUDA(t, l)
			l, small = small.launch(step, 100, false)
			kerneltest.CheckLaunch(t, l)
			l, large = large.launch(step, 100, false)
			kerneltest.CheckLaunchCPU(t, l)
		}
	}
}

// A step whose gradients are not finite changes nothing.
func TestNotFinite(t *testing.T) {
	for _, norm := range []float64{math.NaN(), math.Inf(1)} {
		l, _ := begin(1000).launch(training(0.5), norm, false)
		for i := range l.In {
			l.In[i].After = nil
		}
		l.Out.After = nil
		kerneltest.CheckLaunch(t, l)
	}
}

// The copy is of the parameters as they are now, rounded to the nearest.
func TestCopyCUDA(t *testing.T) {
	const n = 1027
	g := kerneltest.NewGPU(t, 4)
	step := training(0)
	k := New(&step).(interface {
		cuda.Kernel
		cuda.Parameterised
	})
	to := make([]byte, k.ParameterBytes())
	k.PutParameters(to)
	zeros := func(of number.Type) cuda.Operand { return g.Vector(of, make([]float64, n)) }
	l := cuda.Launch{Out: g.Vector(number.Float32, random(n, 1)), Parameters: g.Parameters(0, to), In: []cuda.Operand{
		g.Vector(number.Float32, random(n, 2)), zeros(number.Float32), zeros(number.Float32), zeros(number.Float32), g.Vector(number.Float32, []float64{1}), zeros(number.BFloat16),
	}}
	g.Run(k.CUDA(l)...)
	parameters := g.Values(l.Out)
	for i, x := range g.Values(l.In[copyInput]) {
		if x != number.Round(parameters[i]) {
			t.Fatalf("copy %d is %v of %v", i, x, parameters[i])
		}
	}
}

// A launch moves 38 bytes an element and little more, in whole sectors.
func TestTrafficCUDA(t *testing.T) {
	const n = 64 * optim.Threads
	l, _ := begin(n).launch(training(0), 1, true)
	l.Moves = 38 * n
	kerneltest.CheckLaunchCUDA(t, l)
}

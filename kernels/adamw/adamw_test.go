package adamw

import (
	"math"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
	"fluxion/kernels/optim"
	"fluxion/kernels/optim/optimtest"
)

// The layout of a row is the one that adamw.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "adamw.cu", "Row", Row{}) }

func hyper(s optimtest.Step) *Hyper {
	return &Hyper{LearningRate: 0.01, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.1, Clip: s.Clip, EMADecay: s.EMADecay, Count: s.Count}
}

func optimizer() optimtest.Optimizer {
	return optimtest.Optimizer{
		States: 2, PyTorch: [3][4]float64{
			{0.9890000001059078, 0.48950000013195333, 0.009999999671941788, -0.4895000001441476},
			{0.9565495776152113, 0.47842052609441377, 0.0381716244860723, -0.46962124313276776},
			{0.8760127563415402, 0.5122272866965739, 0.08289445301856718, -0.5240000242329222},
		},
		Kernel: func(s optimtest.Step) kernels.Kernel { return New(hyper(s), s.Undecayed) },
		Reference: func(s optimtest.Step, decays bool, p, g float64, moments []float64) float64 {
			h := hyper(s)
			m, v := h.Beta1*moments[0]+(1-h.Beta1)*g, h.Beta2*moments[1]+(1-h.Beta2)*g*g
			moments[0], moments[1] = m, v
			mHat, vHat := m/(1-math.Pow(h.Beta1, float64(h.Count))), v/(1-math.Pow(h.Beta2, float64(h.Count)))
			step := mHat / (math.Sqrt(vHat) + h.Epsilon)
			if decays {
				step += h.WeightDecay * p
			}
			return p - h.LearningRate*step
		},
	}
}

func TestAdamW(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	optimtest.Check(t, optimizer())
}

// The copy is of the parameters as they are now, rounded to the nearest.
func TestCopyCUDA(t *testing.T) {
	const n = 1027
	g := kerneltest.NewGPU(t, 4)
	k := optimizer().Kernel(optimtest.Step{Count: 1, Clip: optim.Clip{Scale: 0.25}}).(interface {
		cuda.Kernel
		cuda.Parameterised
	})
	to := make([]byte, k.ParameterBytes())
	k.PutParameters(to)
	zeros := func(of number.Type) cuda.Operand { return g.Vector(of, make([]float64, n)) }
	l := cuda.Launch{Out: g.Vector(number.Float32, optimtest.Random(n, 1)), Parameters: g.Parameters(0, to), In: []cuda.Operand{
		g.Vector(number.Float32, optimtest.Random(n, 2)), zeros(number.Float32), zeros(number.Float32), zeros(number.Float32), g.Vector(number.Float32, []float64{1}), zeros(number.BFloat16),
	}}
	g.Run(k.CUDA(l)...)
	parameters := g.Values(l.Out)
	for i, x := range g.Values(l.In[5]) {
		if x != number.Round(parameters[i]) {
			t.Fatalf("copy %d is %v of %v", i, x, parameters[i])
		}
	}
}

// A launch moves 38 bytes an element and little more, in whole sectors.
func TestTrafficCUDA(t *testing.T) {
	const n = 64 * optim.Threads
	o := optimizer()
	l, _ := o.Launch(o.Begin(n), optimtest.Step{Count: 1, Clip: optim.Clip{Scale: 0.25}}, optimtest.Random(n, 2), 1, true)
	l.Moves = 38 * n
	kerneltest.CheckLaunchCUDA(t, l)
}

func Benchmark(b *testing.B) { optimtest.Bench(b, optimizer()) }

// Package optimtest is the suite of tests of every optimizer's kernel.
package optimtest

import (
	"cmp"
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
	"fluxion/kernels/optim"

	"gorgonia.org/tensor"
)

// Step is what is the same for all optimizers in a step.
type Step struct {
	Count     int64 // this one included; from 1
	Clip      optim.Clip
	EMADecay  float64
	Undecayed optim.Ranges
}

// Optimizer is one that is tested. Its learning rate is 0.01 and its weight decay 0.1.
type Optimizer struct {
	States int
	Within float64 // largest error of a step of float32; 0: 1e-6
	Kernel func(Step) kernels.Kernel
	// Reference is a step of one weight in float64, by its gradient times the step's
	// factor; it changes the states.
	Reference func(s Step, decays bool, p, g float64, states []float64) float64
	// PyTorch is the four weights of scripts/optimizers.py after 1, 4 and 20 steps.
	PyTorch [3][4]float64
}

// Check holds the kernel against its reference, on every instruction set and on the
// simulator, with clipping and without, with weights that do not decay; and against
// PyTorch's weights.
func Check(t *testing.T, o Optimizer) {
	t.Run("reference", o.reference)
	t.Run("not finite", o.notFinite)
	t.Run("PyTorch", o.pyTorch)
}

// Random numbers of a seed, as float32.
func Random(n int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, n)
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	return single(v)
}

func single(v []float64) []float64 {
	s := make([]float64, len(v))
	for i, x := range v {
		s[i] = float64(float32(x))
	}
	return s
}

// Training is parameters, states and average.
type Training [][]float64

// Begin is a training of n weights, whose states are zero.
func (o Optimizer) Begin(n int) Training {
	s := Training{Random(n, 1)}
	for range o.States + 1 {
		s = append(s, make([]float64, n))
	}
	return s
}

// Launch is a step of a training; it returns the training after it.
func (o Optimizer) Launch(s Training, step Step, gradients []float64, norm float64, copied bool) (kerneltest.Launch, Training) {
	n, last := len(s[0]), o.States+1
	after := make(Training, last+1)
	for k := range after {
		after[k] = make([]float64, n)
	}
	factor, _ := step.Clip.Factor(norm)
	states := make([]float64, o.States)
	for i := range n {
		for k := range states {
			states[k] = s[1+k][i]
		}
		_, undecayed := step.Undecayed.Next(i, n)
		p := o.Reference(step, !undecayed, s[0][i], gradients[i]*factor, states)
		after[0][i], after[last][i] = p, s[last][i]+(1-step.EMADecay)*(p-s[last][i])
		for k, x := range states {
			after[1+k][i] = x
		}
	}
	buffer := func(k int) kerneltest.Operand {
		return kerneltest.Operand{Shape: tensor.Shape{n}, Before: s[k], After: after[k]}
	}
	l := kerneltest.Launch{Kernel: o.Kernel(step), Within: cmp.Or(o.Within, 1e-6), Out: buffer(0), In: []kerneltest.Operand{{Shape: tensor.Shape{n}, Before: gradients}}}
	for k := range o.States + 1 {
		l.In = append(l.In, buffer(1+k))
	}
	l.In = append(l.In, kerneltest.Operand{Shape: tensor.ScalarShape(), Before: []float64{norm}})
	if copied {
		l.In = append(l.In, kerneltest.Operand{Shape: tensor.Shape{n}, Type: number.BFloat16, Before: make([]float64, n), After: after[0]})
	}
	for k := range after {
		after[k] = single(after[k])
	}
	return l, after
}

func (o Optimizer) reference(t *testing.T) {
	const norm = 100 // above what steps that clip allow
	undecayed := optim.Ranges{0, 16, 48, 96, 1024, 1040, optim.Block - 16, optim.Block + 16}
	for _, clip := range []float64{0, 0.5} {
		short, long := o.Begin(4*optim.Threads+4*77+3), o.Begin(2*optim.Block+39)
		for count := int64(1); count <= 3; count++ {
			s := Step{Count: count, Clip: optim.Clip{Scale: 0.25, Norm: clip}, EMADecay: 0.8}
			if clip == 0 {
				s.Undecayed = undecayed
			}
			g := Random(len(long[0]), uint64(2+count))
			l, _ := o.Launch(short, s, g[:len(short[0])], norm, true)
			kerneltest.CheckLaunchCUDA(t, l)
			l, short = o.Launch(short, s, g[:len(short[0])], norm, false)
			kerneltest.CheckLaunch(t, l)
			if count == 2 {
				l, _ = o.Launch(long, s, g, norm, false)
				kerneltest.CheckLaunchCPU(t, l)
			}
		}
	}
}

// notFinite: a step whose gradients are not finite changes nothing.
func (o Optimizer) notFinite(t *testing.T) {
	for _, norm := range []float64{math.NaN(), math.Inf(1)} {
		s := o.Begin(1000)
		l, _ := o.Launch(s, Step{Count: 1, Clip: optim.Clip{Scale: 1, Norm: 1}}, Random(1000, 2), norm, false)
		for i := range l.In {
			l.In[i].After = nil
		}
		l.Out.After = nil
		kerneltest.CheckLaunch(t, l)
	}
}

// pyTorch follows the four weights of scripts/optimizers.py in float64, and lets the
// kernel make each step of them.
func (o Optimizer) pyTorch(t *testing.T) {
	const n = 4
	w := Training{{1, 0.5, 0, -0.5}}
	for range o.States + 1 {
		w = append(w, make([]float64, n))
	}
	exact := w
	for count := int64(1); count <= 20; count++ {
		g := make([]float64, n)
		for i := range g {
			g[i] = math.Sin(0.7*float64(count)+1.3*float64(i)) + 0.3*math.Cos(2.1*float64(i))
		}
		s := Step{Count: count, Clip: optim.Clip{Scale: 1}}
		l, next := o.Launch(w, s, single(g), 1, false)
		if count%7 == 1 {
			kerneltest.CheckLaunch(t, l)
		}
		w = next
		states := make([]float64, o.States)
		later := make(Training, len(exact))
		for k := range later {
			later[k] = make([]float64, n)
		}
		for i := range n {
			for k := range states {
				states[k] = exact[1+k][i]
			}
			later[0][i] = o.Reference(s, true, exact[0][i], g[i], states)
			for k, x := range states {
				later[1+k][i] = x
			}
		}
		exact = later
		at, ok := map[int64]int{1: 0, 4: 1, 20: 2}[count]
		if !ok {
			continue
		}
		for i, want := range o.PyTorch[at] {
			if math.Abs(exact[0][i]-want) > 1e-12 {
				t.Errorf("weight %d after %d steps is %.15g, PyTorch's %.15g", i, count, exact[0][i], want)
			}
			if math.Abs(w[0][i]-want) > 1e-6*math.Max(math.Abs(want), 0.1) {
				t.Errorf("weight %d after %d steps of float32 is %.9g, PyTorch's %.9g", i, count, w[0][i], want)
			}
		}
	}
}

// Package sgd is the kernel of an optimizer, one pass over the flat buffers of a network:
// clipping by the gradients' norm, stochastic gradient descent with momentum as
// in PyTorch's torch.optim.SGD (no dampening; Nesterov's step if wanted), and the EMA of
// the weights.
package sgd

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/optim"

	"gorgonia.org/tensor"
)

// Hyper is the hyperparameters of the next step. The engine sets them before each run.
type Hyper struct {
	LearningRate float64
	Momentum     float64 // μ
	Nesterov     bool    // the step looks ahead by μ of the velocity
	WeightDecay  float64 // of the weights that joins the gradients
	Clip         optim.Clip
	EMADecay     float64 // share of the old average that is kept
}

// New returns the kernel. Its inputs are the flat gradients, velocity and average, and
// the gradients' norm, and on CUDA devices the bfloat16 copy of the parameters, where
// there is one (see kernels.Weighted); its output is the flat parameters. Velocity,
// average and copy are updated in place. A step whose norm is not finite changes
// nothing.
func New(h *Hyper) kernels.Kernel {
	return update{kernels.Signature{Name: "sgd", Ranks: []int{1, 1, 1, 0}, Rank: 1}, h}
}

type update struct {
	kernels.Signature
	hyper *Hyper
}

func (update) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	n := int64(out.TotalSize())
	bytes := 4 * 7 * n // four buffers are read and three written
	if len(in) > copyInput {
		bytes += 2 * n
	}
	return kernels.Cost{FLOPs: 11 * n, Bytes: bytes}
}

// Mixed says that Cost knows the copy to be bfloat16.
func (update) Mixed() {}

// The places of the norm and of the copy among the inputs.
const (
	normInput = 3
	copyInput = 4
)

// reference updates one element.
func (h *Hyper) reference(p, g, v, average, norm float64) (float64, float64, float64) {
	factor, _ := h.Clip.Factor(norm)
	g = g*factor + h.WeightDecay*p
	v = h.Momentum*v + g
	d := v
	if h.Nesterov {
		d = g + h.Momentum*v
	}
	p -= h.LearningRate * d
	average += (1 - h.EMADecay) * (p - average)
	return p, v, average
}

// numbers are the hyperparameters in the kernel's arithmetic.
type numbers struct {
	scale, rate, momentum, decay, emaDecay float32
	nesterov                               bool
}

// run is a plain loop: the step moves 28 bytes an element, which is what it waits for.
// Conversions keep a compiler from fusing, so that it has the same bits everywhere.
func (n *numbers) run(p, g, v, average []float32) {
	g, v, average = g[:len(p)], v[:len(p)], average[:len(p)]
	for i, x := range p {
		e := float32(g[i]*n.scale) + float32(n.decay*x)
		m := float32(n.momentum*v[i]) + e
		v[i] = m
		if n.nesterov {
			m = e + float32(n.momentum*m)
		}
		x -= float32(n.rate * m)
		p[i] = x
		average[i] += float32((1 - n.emaDecay) * (x - average[i]))
	}
}

func (u update) CPU(l kernels.Launch) func(*cpu.Pool) {
	n := l.Out.Shape.TotalSize()
	var with numbers
	block := func(i, _ int) {
		with.run(optim.Part(l.Out, i), optim.Part(l.In[0], i), optim.Part(l.In[1], i), optim.Part(l.In[2], i))
	}
	return func(p *cpu.Pool) {
		factor, ok := u.hyper.Clip.Factor(float64(l.In[normInput].Data[0]))
		if !ok {
			return
		}
		h := u.hyper
		with = numbers{
			scale: float32(factor), rate: float32(h.LearningRate), momentum: float32(h.Momentum), decay: float32(h.WeightDecay),
			emaDecay: float32(h.EMADecay), nesterov: h.Nesterov,
		}
		optim.Run(p, n, block)
	}
}

// Package sgd is the kernel of an optimizer, one pass over the flat buffers of a network:
// clipping by the gradients' norm, stochastic gradient descent with momentum as
// in PyTorch's torch.optim.SGD (no dampening; Nesterov's step if wanted), and the EMA of
// the weights.
package sgd

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// blockFloats is the work of one task.
const blockFloats = 1 << 16

// Hyper is the hyperparameters of the next step. The engine sets them before each run.
type Hyper struct {
	LearningRate float64
	Momentum     float64 // μ
	Nesterov     bool    // the step looks ahead by μ of the velocity
	WeightDecay  float64 // of the weights that joins the gradients
	GradScale    float64 // multiplies the gradients first: 1/(micro-batches)
	ClipNorm     float64 // largest norm of the scaled gradients; 0 does not clip
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

// copyInput is the place of the copy among the inputs.
const copyInput = 4

// scale returns what the raw gradients are multiplied by, given their norm.
func (h *Hyper) scale(norm float64) float64 {
	if n := norm * h.GradScale; h.ClipNorm > 0 && n > h.ClipNorm {
		return h.GradScale * h.ClipNorm / n
	}
	return h.GradScale
}

// reference updates one element.
func (h *Hyper) reference(p, g, v, average, norm float64) (float64, float64, float64) {
	g = g*h.scale(norm) + h.WeightDecay*p
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
	part := func(o kernels.Operand, i int) []float32 { return o.Data[i*blockFloats : min((i+1)*blockFloats, n)] }
	block := func(i, _ int) { with.run(part(l.Out, i), part(l.In[0], i), part(l.In[1], i), part(l.In[2], i)) }
	return func(p *cpu.Pool) {
		norm := float64(l.In[3].Data[0])
		if math.IsNaN(norm) || math.IsInf(norm, 0) {
			return
		}
		h := u.hyper
		with = numbers{
			scale: float32(h.scale(norm)), rate: float32(h.LearningRate), momentum: float32(h.Momentum), decay: float32(h.WeightDecay),
			emaDecay: float32(h.EMADecay), nesterov: h.Nesterov,
		}
		p.Run((n+blockFloats-1)/blockFloats, block)
	}
}

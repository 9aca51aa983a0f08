// Package sgd is the kernel of an optimizer, one pass over the flat buffers of a network:
// clipping by the gradients' norm, stochastic gradient descent with momentum as
// in PyTorch's torch.optim.SGD (no dampening; Nesterov's step if wanted), and the EMA of
// the weights.
package sgd

import (
	_ "embed"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/optim"
	"fluxion/kernels/row"
)

//go:embed sgd.ptx.zst
var ptx string

var module = cuda.Register("sgd", ptx)

// Hyper is the hyperparameters of the next step. The engine sets them before each run.
type Hyper struct {
	LearningRate float64
	Momentum     float64 // μ
	Nesterov     bool    // the step looks ahead by μ of the velocity
	WeightDecay  float64 // of the weights that joins the gradients
	Clip         optim.Clip
	EMADecay     float64 // share of the old average that is kept
}

// Row is the hyperparameters as the kernel takes them: struct Row of sgd.cu.
type Row struct {
	GradScale, ClipNorm             float64
	Rate, Momentum, Decay, EMADecay float32
	Nesterov                        row.Flag
	_                               uint32
}

func (h *Hyper) row() Row {
	return Row{
		GradScale: h.Clip.Scale, ClipNorm: h.Clip.Norm, Rate: float32(h.LearningRate), Momentum: float32(h.Momentum),
		Decay: float32(h.WeightDecay), EMADecay: float32(h.EMADecay), Nesterov: row.If(h.Nesterov),
	}
}

// New returns the kernel, whose state is the velocity: see optim.New.
func New(h *Hyper, undecayed optim.Ranges) kernels.Kernel {
	return optim.New(optim.Method[Row]{
		Name: "sgd", States: 1, FLOPs: 11, Undecayed: undecayed, Module: module, Function: "sgd_update",
		Row: h.row, Clip: func() optim.Clip { return h.Clip }, Bind: optim.Loop(h.row, (*Row).run),
	})
}

// run is a plain loop: the step moves 28 bytes an element, which is what it waits for.
// Conversions keep a compiler from fusing, so that it has the same bits everywhere.
func (r *Row) run(scale float32, w optim.Weights) {
	p := w.Parameters
	g, v, average := w.Gradients[:len(p)], w.States[0][:len(p)], w.Average[:len(p)]
	decay := r.Decay
	if !w.Decay {
		decay = 0
	}
	for i, x := range p {
		e := float32(g[i]*scale) + float32(decay*x)
		m := float32(r.Momentum*v[i]) + e
		v[i] = m
		if r.Nesterov == 1 {
			m = e + float32(r.Momentum*m)
		}
		x -= float32(r.Rate * m)
		p[i] = x
		average[i] += float32((1 - r.EMADecay) * (x - average[i]))
	}
}

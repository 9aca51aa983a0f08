// Package lion is the kernel of an optimizer, one pass over the flat buffers of a network:
// clipping by the gradients' norm, Lion (Chen et al., arXiv 2302.06675: the sign of a
// momentum, with decoupled weight decay), and the EMA of the weights.
package lion

import (
	_ "embed"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/optim"
)

//go:embed lion.ptx.zst
var ptx string

var module = cuda.Register("lion", ptx)

// Hyper is the hyperparameters of the next step. The engine sets them before each run.
type Hyper struct {
	LearningRate float64
	Beta1        float64 // share of the momentum in what the sign is of
	Beta2        float64 // share of the momentum that is kept
	WeightDecay  float64
	Clip         optim.Clip
	EMADecay     float64 // share of the old average that is kept
}

// Row is the hyperparameters as the kernels take them: struct Row of lion.cu.
type Row struct {
	GradScale, ClipNorm                 float64
	Rate, Beta1, Beta2, Decay, EMADecay float32
	_                                   uint32
}

func (h *Hyper) row() Row {
	return Row{
		GradScale: h.Clip.Scale, ClipNorm: h.Clip.Norm,
		Rate: float32(h.LearningRate), Beta1: float32(h.Beta1), Beta2: float32(h.Beta2), Decay: float32(h.WeightDecay), EMADecay: float32(h.EMADecay),
	}
}

// New returns the kernel, whose state is the momentum: see optim.New.
func New(h *Hyper, undecayed optim.Ranges) kernels.Kernel {
	return optim.New(optim.Method[Row]{
		Name: "lion", States: 1, FLOPs: 13, Undecayed: undecayed, Module: module, Function: "lion_update",
		Row: h.row, Clip: func() optim.Clip { return h.Clip }, Bind: optim.Loop(h.row, (*Row).run),
	})
}

// run has conversions where a compiler could fuse, so that it has the same bits everywhere.
func (r *Row) run(scale float32, w optim.Weights) {
	p := w.Parameters
	g, m, average := w.Gradients[:len(p)], w.States[0][:len(p)], w.Average[:len(p)]
	decay := r.Decay
	if !w.Decay {
		decay = 0
	}
	for i, x := range p {
		e := float32(g[i] * scale)
		d := float32(decay * x)
		if c := float32(r.Beta1*m[i]) + float32((1-r.Beta1)*e); c > 0 {
			d++
		} else if c < 0 {
			d--
		}
		m[i] = float32(r.Beta2*m[i]) + float32((1-r.Beta2)*e)
		x -= float32(r.Rate * d)
		p[i] = x
		average[i] += float32((1 - r.EMADecay) * (x - average[i]))
	}
}

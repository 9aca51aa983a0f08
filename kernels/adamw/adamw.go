// Package adamw is the kernel of an optimizer, one pass over the flat buffers of a network:
// clipping by the gradients' norm, AdamW (Loshchilov & Hutter, arXiv 1711.05101,
// decoupled weight decay, as in PyTorch), and the EMA of the weights.
package adamw

import (
	_ "embed"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/optim"
)

//go:embed adamw.ptx.zst
var ptx string

var module = cuda.Register("adamw", ptx)

// Hyper is the hyperparameters of the next step. The engine sets them before each run.
type Hyper struct {
	LearningRate float64
	Beta1, Beta2 float64
	Epsilon      float64
	WeightDecay  float64
	Count        int64 // steps done, this one included; from 1
	Clip         optim.Clip
	EMADecay     float64 // share of the old average that is kept
}

// Row is the hyperparameters as the kernels take them: struct Row of adamw.cu.
type Row struct {
	GradScale, ClipNorm                float64
	Rate, Beta1, Beta2, Epsilon, Decay float32
	Correction1, Correction2           float32 // of the moments, 1/(1−βⁿ)
	EMADecay                           float32
}

func (h *Hyper) row() Row {
	return Row{
		GradScale: h.Clip.Scale, ClipNorm: h.Clip.Norm,
		Rate: float32(h.LearningRate), Beta1: float32(h.Beta1), Beta2: float32(h.Beta2), Epsilon: float32(h.Epsilon), Decay: float32(h.WeightDecay),
		Correction1: float32(optim.Correction(h.Beta1, h.Count)), Correction2: float32(optim.Correction(h.Beta2, h.Count)), EMADecay: float32(h.EMADecay),
	}
}

// New returns the kernel, whose states are the first and second moments: see optim.New.
func New(h *Hyper, undecayed optim.Ranges) kernels.Kernel {
	return optim.New(optim.Method[Row]{
		Name: "adamw", States: 2, FLOPs: 16, Undecayed: undecayed, Module: module, Function: "adamw_update",
		Row: h.row, Clip: func() optim.Clip { return h.Clip }, Bind: h.bind,
	})
}

func (h *Hyper) bind() (func(float32), func(*cpu.Kernels, optim.Weights)) {
	var all, undecayed cpu.AdamW
	begin := func(factor float32) {
		r := h.row()
		all = cpu.AdamW{
			LR: r.Rate, Beta1: r.Beta1, Beta2: r.Beta2, Eps: r.Epsilon, WeightDecay: r.Decay,
			C1: r.Correction1, C2: r.Correction2, GradScale: factor, EMADecay: r.EMADecay,
		}
		undecayed = all
		undecayed.WeightDecay = 0
	}
	return begin, func(k *cpu.Kernels, w optim.Weights) {
		with := &undecayed
		if w.Decay {
			with = &all
		}
		k.AdamW(with, w.Parameters, w.Gradients, w.States[0], w.States[1], w.Average)
	}
}

// Package adam is the kernel of two optimizers, one pass over the flat buffers of a
// network: Adam (Kingma and Ba, arXiv 1412.6980) and rectified Adam (Liu et al.,
// arXiv 1908.03265), both with weight decay that joins the gradients, as torch.optim.Adam
// and RAdam have it. AdamW, whose decay is apart, is package adamw.
package adam

import (
	_ "embed"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/optim"
	"fluxion/kernels/row"
)

//go:embed adam.ptx.zst
var ptx string

var module = cuda.Register("adam", ptx)

// Hyper is the hyperparameters of the next step. The engine sets them before each run.
type Hyper struct {
	LearningRate float64
	Beta1, Beta2 float64
	Epsilon      float64
	WeightDecay  float64
	Rectified    bool
	Count        int64 // steps done, this one included; from 1
	Clip         optim.Clip
	EMADecay     float64 // share of the old average that is kept
}

// Row is the hyperparameters as the kernels take them: struct Row of adam.cu.
type Row struct {
	GradScale, ClipNorm                float64
	Rate, Beta1, Beta2, Epsilon, Decay float32
	Correction2, EMADecay              float32
	Adaptive                           row.Flag
}

func (h *Hyper) row() Row {
	rate, epsilon, adaptive := h.rate()
	return Row{
		GradScale: h.Clip.Scale, ClipNorm: h.Clip.Norm,
		Rate: float32(rate), Beta1: float32(h.Beta1), Beta2: float32(h.Beta2), Epsilon: float32(epsilon), Decay: float32(h.WeightDecay),
		Correction2: float32(optim.Correction(h.Beta2, h.Count)), EMADecay: float32(h.EMADecay), Adaptive: row.If(adaptive),
	}
}

// rate is what the first moment is multiplied by, and epsilon joins the root of the
// corrected second one, if the step is adaptive: of the first steps of rectified Adam,
// where the variance of the adaptive rate is not finite, it is not.
func (h *Hyper) rate() (rate, epsilon float64, adaptive bool) {
	rate, epsilon = h.LearningRate*optim.Correction(h.Beta1, h.Count), h.Epsilon
	if !h.Rectified {
		return rate, epsilon, true
	}
	n := float64(h.Count)
	power := math.Pow(h.Beta2, n)
	most := 2/(1-h.Beta2) - 1             // ρ∞
	length := most - 2*n*power/(1-power)  // ρₜ, of the moving average
	epsilon *= math.Sqrt(1 / (1 - power)) // PyTorch's joins the root before it is corrected
	if length <= 5 {
		return rate, epsilon, false
	}
	return rate * math.Sqrt((length-4)*(length-2)*most/((most-4)*(most-2)*length)), epsilon, true
}

// New returns the kernel, whose states are the first and second moments: see optim.New.
func New(h *Hyper, undecayed optim.Ranges) kernels.Kernel {
	return optim.New(optim.Method[Row]{
		Name: "adam", States: 2, FLOPs: 16, Undecayed: undecayed, Module: module, Function: "adam_update",
		Row: h.row, Clip: func() optim.Clip { return h.Clip }, Bind: optim.Loop(h.row, (*Row).run),
	})
}

// run has conversions where a compiler could fuse, so that it has the same bits everywhere.
func (r *Row) run(scale float32, w optim.Weights) {
	p := w.Parameters
	g, m, v, average := w.Gradients[:len(p)], w.States[0][:len(p)], w.States[1][:len(p)], w.Average[:len(p)]
	decay := r.Decay
	if !w.Decay {
		decay = 0
	}
	for i, x := range p {
		e := float32(g[i]*scale) + float32(decay*x)
		m[i] = float32(r.Beta1*m[i]) + float32((1-r.Beta1)*e)
		v[i] = float32(r.Beta2*v[i]) + float32((1-r.Beta2)*e*e)
		d := m[i]
		if r.Adaptive == 1 {
			d /= float32(math.Sqrt(float64(v[i]*r.Correction2))) + r.Epsilon
		}
		x -= float32(r.Rate * d)
		p[i] = x
		average[i] += float32((1 - r.EMADecay) * (x - average[i]))
	}
}

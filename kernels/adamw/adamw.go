// Package adamw is the kernel of an optimizer, one pass over the flat buffers of a network:
// clipping by the gradients' norm, AdamW (Loshchilov & Hutter, arXiv 1711.05101,
// decoupled weight decay, as in PyTorch), and the EMA of the weights.
package adamw

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/optim"

	"gorgonia.org/tensor"
)

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
	correction := func(beta float64) float32 { return float32(1 / (1 - math.Pow(beta, float64(h.Count)))) }
	return Row{
		GradScale: h.Clip.Scale, ClipNorm: h.Clip.Norm,
		Rate: float32(h.LearningRate), Beta1: float32(h.Beta1), Beta2: float32(h.Beta2), Epsilon: float32(h.Epsilon), Decay: float32(h.WeightDecay),
		Correction1: correction(h.Beta1), Correction2: correction(h.Beta2), EMADecay: float32(h.EMADecay),
	}
}

// New returns the kernel. Its inputs are the flat gradients, first and second
// moments, average, and the gradients' norm, and on CUDA devices the bfloat16 copy
// of the parameters, where there is one (see kernels.Weighted); its output is the
// flat parameters. Moments, average and copy are updated in place. A step whose norm
// is not finite changes nothing.
func New(h *Hyper) kernels.Kernel {
	return update{kernels.Signature{Name: "adamw", Ranks: []int{1, 1, 1, 1, 0}, Rank: 1}, h}
}

type update struct {
	kernels.Signature
	hyper *Hyper
}

func (update) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	n := int64(out.TotalSize())
	bytes := 4 * 9 * n // five buffers are read and four written
	if len(in) > copyInput {
		bytes += 2 * n
	}
	return kernels.Cost{FLOPs: 16 * n, Bytes: bytes}
}

// Mixed says that Cost knows the copy to be bfloat16.
func (update) Mixed() {}

// The places of the norm and of the copy among the inputs.
const (
	normInput = 4
	copyInput = 5
)

// reference updates one element.
func (h *Hyper) reference(p, g, m, v, average, norm float64) (float64, float64, float64, float64) {
	factor, _ := h.Clip.Factor(norm)
	g *= factor
	m = h.Beta1*m + (1-h.Beta1)*g
	v = h.Beta2*v + (1-h.Beta2)*g*g
	mHat := m / (1 - math.Pow(h.Beta1, float64(h.Count)))
	vHat := v / (1 - math.Pow(h.Beta2, float64(h.Count)))
	p -= h.LearningRate * (mHat/(math.Sqrt(vHat)+h.Epsilon) + h.WeightDecay*p)
	average += (1 - h.EMADecay) * (p - average)
	return p, m, v, average
}

func (u update) CPU(l kernels.Launch) func(*cpu.Pool) {
	n := l.Out.Shape.TotalSize()
	var k *cpu.Kernels
	var h cpu.AdamW
	block := func(i, _ int) {
		k.AdamW(&h, optim.Part(l.Out, i), optim.Part(l.In[0], i), optim.Part(l.In[1], i), optim.Part(l.In[2], i), optim.Part(l.In[3], i))
	}
	return func(p *cpu.Pool) {
		factor, ok := u.hyper.Clip.Factor(float64(l.In[normInput].Data[0]))
		if !ok {
			return
		}
		r := u.hyper.row()
		h = cpu.AdamW{
			LR: r.Rate, Beta1: r.Beta1, Beta2: r.Beta2, Eps: r.Epsilon, WeightDecay: r.Decay,
			C1: r.Correction1, C2: r.Correction2, GradScale: float32(factor), EMADecay: r.EMADecay,
		}
		k = p.Kernels()
		optim.Run(p, n, block)
	}
}

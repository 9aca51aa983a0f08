// Package ema is the kernel of a further exponential moving average (EMA) of the weights:
// ā += (1 − decay)(p − ā). The first one is updated by the optimizer's own kernel.
package ema

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/optim"

	"gorgonia.org/tensor"
)

// Hyper is the hyperparameters of the next step. The engine sets them before each run.
type Hyper struct {
	Decay float64 // share of the old average that is kept
}

// New returns the kernel. Its inputs are the flat parameters and the gradients' norm;
// its output is the average, which is updated in place. A step whose norm is not finite
// changes nothing.
func New(h *Hyper) kernels.Kernel {
	return update{kernels.Signature{Name: "ema", Ranks: []int{1, 0}, Rank: 1}, h}
}

type update struct {
	kernels.Signature
	hyper *Hyper
}

func (update) Cost(_ []tensor.Shape, out tensor.Shape) kernels.Cost {
	n := int64(out.TotalSize())
	return kernels.Cost{FLOPs: 3 * n, Bytes: 4 * 3 * n} // two buffers are read and one is written
}

// reference updates one element.
func (h *Hyper) reference(p, average float64) float64 { return average + (1-h.Decay)*(p-average) }

func (u update) CPU(l kernels.Launch) func(*cpu.Pool) {
	n := l.Out.Shape.TotalSize()
	var decay float32
	block := func(i, _ int) {
		p, average := optim.Part(l.In[0], i), optim.Part(l.Out, i)
		for i, x := range p { // it waits for memory; a compiler that fuses would change bits
			average[i] += float32((1 - decay) * (x - average[i]))
		}
	}
	return func(p *cpu.Pool) {
		norm := float64(l.In[1].Data[0])
		if math.IsNaN(norm) || math.IsInf(norm, 0) {
			return
		}
		decay = float32(u.hyper.Decay)
		optim.Run(p, n, block)
	}
}

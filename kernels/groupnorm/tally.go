package groupnorm

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"

	"gorgonia.org/tensor"
)

// Tallied returns the gradient that also sums itself over the pixels: the gradient of a time embedding.
func (w withSums) Tallied(alone kernels.PixelSum) kernels.Kernel { return withTally{w, alone} }

// withTally writes the sums of its result, its last input.
type withTally struct {
	withSums
	alone kernels.PixelSum
}

func (w withTally) String() string { return w.withSums.String() + " and pixels" }

// Cost is that of the gradient, and of what the sums are written to.
func (w withTally) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	last := len(in) - 1
	c := w.withSums.Cost(in[:last], out)
	c.FLOPs += int64(out.TotalSize())
	c.Bytes += kernels.Traffic(in[last])
	return c
}

// Scratch is enough for either, one after the other.
func (w withTally) Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	last := len(in) - 1
	return max(w.withSums.Scratch(in[:last], out, threads), w.alone.Scratch([]tensor.Shape{out}, in[last], threads))
}

// CPU binds one after the other.
func (w withTally) CPU(l kernels.Launch) func(*cpu.Pool) {
	last := len(l.In) - 1
	tally := w.alone.CPU(kernels.Launch{In: []kernels.Operand{l.Out}, Out: l.In[last], Scratch: l.Scratch, Threads: l.Threads})
	l.In = l.In[:last]
	grad := w.withSums.CPU(l)
	return func(p *cpu.Pool) {
		grad(p)
		tally(p)
	}
}

// parts are the launch of the gradient and that of sums for themselves.
func (w withTally) parts(l cuda.Launch) (grad, sums cuda.Launch) {
	last := len(l.In) - 1
	sums = cuda.Launch{Card: l.Card, In: []cuda.Operand{l.Out}, Out: l.In[last], Scratch: l.Scratch}
	l.In = l.In[:last]
	return l, sums
}

// CUDAScratch is enough for either.
func (w withTally) CUDAScratch(l cuda.Launch) int {
	grad, sums := w.parts(l)
	return max(w.withSums.CUDAScratch(grad), w.alone.(cuda.Kernel).CUDAScratch(sums))
}

// CUDA is one launch where the gradient is.
func (w withTally) CUDA(l cuda.Launch) []cuda.Call {
	grad, sums := w.parts(l)
	if calls := w.launch(grad, sums.Out.Address); calls != nil {
		return calls
	}
	return append(w.withSums.CUDA(grad), w.alone.(cuda.Kernel).CUDA(sums)...)
}

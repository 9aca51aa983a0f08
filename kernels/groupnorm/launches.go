package groupnorm

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// The launches of a normalisation one by one. Every image is cut into blocks of
// rows; what is computed for whole images is a run of tasks of its own.

// TakesBFloat16 says yes.
func (statsOp) TakesBFloat16() bool { return true }

// TakesBFloat16 says yes.
func (common) TakesBFloat16() bool { return true }

func (statsOp) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 4 * int64(in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (statsOp) Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	s := newImages(in[0])
	return 2 * (s.n*s.blocks + threads) * s.channels
}

func (o statsOp) CPU(l kernels.Launch) func(*cpu.Pool) {
	if l.In[0].Type == number.BFloat16 {
		return bindStats[uint16](o.o, l)
	}
	return bindStats[float32](o.o, l)
}

func bindStats[T cpu.Element](o Options, l kernels.Launch) func(*cpu.Pool) {
	s, x := newImages(l.In[0].Shape), kernels.View[T](l.In[0])
	c := s.channels
	measured, spare := l.Scratch[:2*s.n*s.blocks*c], l.Scratch[2*s.n*s.blocks*c:]
	var k kernelsOf[T]
	measure := func(task, worker int) {
		_, rows := blockOf(s, x, task)
		k.measure(measured[2*task*c:][:2*c], spare[2*worker*c:][:2*c], rows)
	}
	merge := func(n, _ int) { s.merge(l.Out.Data[2*n*o.Groups:], measured[2*n*s.blocks*c:], o) }
	return func(p *cpu.Pool) {
		k = newKernels[T](p)
		p.Run(s.n*s.blocks, measure)
		p.Run(s.n, merge)
	}
}

func (apply) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 8 * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (apply) Scratch(in []tensor.Shape, _ tensor.Shape, _ int) int { return 2 * in[0][0] * in[0][3] }

func (a apply) CPU(l kernels.Launch) func(*cpu.Pool) {
	if l.In[0].Type == number.BFloat16 {
		return bindApply[uint16](a, l)
	}
	return bindApply[float32](a, l)
}

func bindApply[T cpu.Element](o apply, l kernels.Launch) func(*cpu.Pool) {
	s, x, y := newImages(l.In[0].Shape), kernels.View[T](l.In[0]), kernels.View[T](l.Out)
	f, vector := o.fields32(l, s.channels), s.vectors(l.Scratch, 2)
	var k kernelsOf[T]
	lines := func(n, _ int) { f.lines(n, vector(n, 0), vector(n, 1)) }
	rows := func(task, _ int) {
		n, x := blockOf(s, x, task)
		_, y := blockOf(s, y, task)
		k.affine(o.o.SiLU, y, x, vector(n, 0), vector(n, 1))
	}
	return func(p *cpu.Pool) {
		k = newKernels[T](p)
		p.Run(s.n, lines)
		p.Run(s.n*s.blocks, rows)
	}
}

func (sums) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 12 * int64(in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (sums) Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	s := newImages(in[0])
	return 2 * (s.n + s.n*s.blocks + threads) * s.channels
}

func (o sums) CPU(l kernels.Launch) func(*cpu.Pool) {
	if l.In[0].Type == number.BFloat16 {
		return bindSums[uint16](o, l)
	}
	return bindSums[float32](o, l)
}

func bindSums[T cpu.Element](o sums, l kernels.Launch) func(*cpu.Pool) {
	s, x, dy := newImages(l.In[0].Shape), kernels.View[T](l.In[0]), kernels.View[T](l.In[o.heads()])
	c := s.channels
	f, vector := o.fields32(l, c), s.vectors(l.Scratch[:2*s.n*c], 2)
	partial := l.Scratch[2*s.n*c:][:2*s.n*s.blocks*c]
	spare := l.Scratch[2*(s.n+s.n*s.blocks)*c:]
	var k kernelsOf[T]
	lines := func(n, _ int) { f.lines(n, vector(n, 0), vector(n, 1)) }
	block := func(task, worker int) {
		n, x := blockOf(s, x, task)
		_, dy := blockOf(s, dy, task)
		k.gradSums(o.o.SiLU, partial[2*task*c:][:2*c], spare[2*worker*c:][:2*c], cpu.Matrix{}, x, dy, vector(n, 0), vector(n, 1))
	}
	total := func(n, _ int) { s.total(l.Out.Data[2*n*c:][:2*c], partial[2*n*s.blocks*c:]) }
	return func(p *cpu.Pool) {
		k = newKernels[T](p)
		p.Run(s.n, lines)
		p.Run(s.n*s.blocks, block)
		p.Run(s.n, total)
	}
}

func (inputGrad) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 14 * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (inputGrad) Scratch(in []tensor.Shape, _ tensor.Shape, _ int) int {
	return 4 * in[0][0] * in[0][3]
}

func (inputGrad) Fuses() kernels.Epilogue { return kernels.Epilogue{Add: true} }

func (g inputGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	if l.In[0].Type == number.BFloat16 {
		return bindInputGrad[uint16](g, l)
	}
	return bindInputGrad[float32](g, l)
}

func bindInputGrad[T cpu.Element](g inputGrad, l kernels.Launch) func(*cpu.Pool) {
	s, x, dy := newImages(l.In[0].Shape), kernels.View[T](l.In[0]), kernels.View[T](l.In[g.heads()])
	dx, add := kernels.View[T](l.Out), kernels.View[T](l.Add)
	f, sums := g.fields32(l, s.channels), l.In[g.heads()+1].Data
	vector := s.vectors(l.Scratch, 4) // a, b, q, r
	var k kernelsOf[T]
	lines := func(n, _ int) {
		f.lines(n, vector(n, 0), vector(n, 1))
		f.corrections(sums, n, s.pixels, vector(n, 2), vector(n, 3))
	}
	rows := func(task, _ int) {
		n, x := blockOf(s, x, task)
		_, dy := blockOf(s, dy, task)
		_, dx := blockOf(s, dx, task)
		_, add := blockOf(s, add, task)
		a, b, q, r := vector(n, 0), vector(n, 1), vector(n, 2), vector(n, 3)
		if g.o.SiLU {
			k.norms.SiLUGradAffine(dx, x, dy, a, b, a, q, r, add)
		} else {
			k.norms.GradAffine(dx, x, dy, a, q, r, add)
		}
	}
	return func(p *cpu.Pool) {
		k = newKernels[T](p)
		p.Run(s.n, lines)
		p.Run(s.n*s.blocks, rows)
	}
}

// taskChannels is the work of a task of the gradient of a small input.
const taskChannels = 64

func (parameterGrad) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 4 * int64(in[len(in)-1].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (g parameterGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	channels := l.In[1].Shape[0]
	f := fields[float32]{l.In[0].Data, l.In[1].Data, l.In[2].Data, nil, g.o.Groups, channels}
	if g.scaleShift {
		f.scaleShift = l.In[3].Data
	}
	sums := l.In[len(l.In)-1]
	sum := sums.Data[:sums.Shape.TotalSize()]
	task := func(task, _ int) {
		f.parameterGrad(g.which, l.Out.Data, sum, task*taskChannels, min((task+1)*taskChannels, channels))
	}
	return func(p *cpu.Pool) { p.Run((channels+taskChannels-1)/taskChannels, task) }
}

package groupnorm

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// Two launches as one: a normalisation with its statistics, the gradient of its
// input with its sums. A task is an image's channels, as many as stay in the cache
// between the two passes, so that tensors are read from memory once; the gradient
// before the activation stays there, too, and is computed once. The bits are those
// of the two launches.

// slabs are the tasks of a launch: of every image the same cuts of whole groups.
type slabs struct {
	images
	cols  int // channels of a slab; the last may have fewer
	count int // slabs of an image
}

const (
	slabElements = 64 << 10  // of a slab that is as wide as it can be
	mostElements = 128 << 10 // of any
	narrowest    = 32        // channels: rows of whole cache lines
)

// newSlabs cuts images; it is false if they are too large.
func newSlabs(x tensor.Shape, groups, threads int) (slabs, bool) {
	s := slabs{images: newImages(x)}
	unit := s.channels / groups
	for unit%16 != 0 && unit < s.channels { // whole groups and whole vectors
		unit += s.channels / groups
	}
	unit = min(unit, s.channels)
	units := (s.channels + unit - 1) / unit
	least := max(1, min(narrowest/unit, units)) // units of a slab
	most := max(least, slabElements/(s.pixels*unit))
	s.count = (units + most - 1) / most
	for s.n*s.count < 2*threads && s.count < units/least {
		s.count++
	}
	s.cols = unit * ((units + s.count - 1) / s.count)
	s.count = (s.channels + s.cols - 1) / s.cols
	return s, s.pixels*s.cols <= mostElements
}

// part is a task's image, and its channels.
func (s slabs) part(task int) (n, first, cols int) {
	first = task % s.count * s.cols
	return task / s.count, first, min(s.cols, s.channels-first)
}

// channels of an image, or nothing of a matrix that is not there.
func channels[T cpu.Element](s slabs, m cpu.MatrixOf[T], n, first, cols int) cpu.MatrixOf[T] {
	if m.Data == nil {
		return m
	}
	return m.Part(n*s.pixels, s.pixels, first, cols)
}

// worker is the working memory of one worker: vectors of columns for every block,
// more vectors, and a number for every element or none.
func (s slabs) worker(vectors, elements int) int {
	n := s.pixels*s.cols*elements + (2*s.blocks+vectors)*s.cols
	return (n + 15) / 16 * 16
}

// Joined returns the normalisation that makes its statistics itself.
func (a apply) Joined(i int, maker kernels.Kernel) kernels.Kernel {
	if s, ok := maker.(statsOp); ok && i == 1 {
		return withStats{a, s}
	}
	return nil
}

// withStats is a normalisation that writes its statistics, input 1.
type withStats struct {
	apply apply
	stats statsOp
}

func (w withStats) String() string { return w.apply.Name + " with stats" }

// TakesBFloat16 says yes.
func (withStats) TakesBFloat16() bool { return true }

// Cost is that of both, but that tensors are read once.
func (w withStats) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	c := w.apply.Cost(in, out)
	c.FLOPs += w.stats.Cost(in[:1], in[1]).FLOPs
	return c
}

// Scratch is that of a slab for every worker.
func (w withStats) Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	if s, ok := newSlabs(in[0], w.apply.o.Groups, threads); ok {
		return threads * s.worker(2, 0)
	}
	return max(w.stats.Scratch(in[:1], in[1], threads), w.apply.Scratch(in, out, threads))
}

// CPU binds the normalisation.
func (w withStats) CPU(l kernels.Launch) func(*cpu.Pool) {
	s, ok := newSlabs(l.In[0].Shape, w.apply.o.Groups, l.Threads)
	switch {
	case !ok:
		stats := w.stats.CPU(kernels.Launch{In: l.In[:1], Out: l.In[1], Scratch: l.Scratch, Threads: l.Threads})
		apply := w.apply.CPU(l)
		return func(p *cpu.Pool) {
			stats(p)
			apply(p)
		}
	case l.In[0].Type == number.BFloat16:
		return bindWithStats[uint16](w, s, l)
	}
	return bindWithStats[float32](w, s, l)
}

func bindWithStats[T cpu.Element](w withStats, s slabs, l kernels.Launch) func(*cpu.Pool) {
	x, y, stats := kernels.View[T](l.In[0]), kernels.View[T](l.Out), l.In[1].Data
	f, o, per := w.apply.fields32(l, s.channels), w.apply.o, s.channels/w.apply.o.Groups
	var k kernelsOf[T]
	task := func(task, worker int) {
		n, first, cols := s.part(task)
		x, y := channels(s, x, n, first, cols), channels(s, y, n, first, cols)
		own := l.Scratch[worker*s.worker(2, 0):][:s.worker(2, 0)]
		measured, spare := own[:2*s.blocks*cols], own[2*s.blocks*cols:][:2*cols]
		for b := range s.blocks {
			from, rows := s.rows(b)
			k.measure(measured[2*b*cols:][:2*cols], spare, rowsOf(x, from, rows))
		}
		for g := first / per; g < (first+cols)/per; g++ {
			group := stats[2*(n*o.Groups+g):]
			group[0], group[1] = s.merge(measured, cols, g*per-first, per, w.stats.o.Epsilon)
		}
		a, b := spare[:cols], spare[cols:]
		f.lines(n, first, a, b)
		k.affine(o.SiLU, y, x, a, b)
	}
	return func(p *cpu.Pool) {
		k = newKernels[T](p)
		p.Run(s.n*s.count, task)
	}
}

// Joined returns the gradient that makes its sums itself.
func (g inputGrad) Joined(i int, maker kernels.Kernel) kernels.Kernel {
	if s, ok := maker.(sums); ok && i == g.heads()+1 {
		return withSums{g, s}
	}
	return nil
}

// withSums is the gradient of the input that writes its sums, its last input.
type withSums struct {
	grad inputGrad
	sums sums
}

func (w withSums) String() string { return w.grad.Name + " with sums" }

// TakesBFloat16 says yes.
func (withSums) TakesBFloat16() bool { return true }

// Cost is that of both, but that tensors are read and what is before the activation is computed once.
func (w withSums) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 16 * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// kept is the numbers of each element that a worker keeps.
func (w withSums) kept() int {
	if w.grad.o.SiLU {
		return 1
	}
	return 0
}

// Scratch is that of a slab for every worker.
func (w withSums) Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	if s, ok := newSlabs(in[0], w.grad.o.Groups, threads); ok {
		return threads * s.worker(6, w.kept())
	}
	last := len(in) - 1
	return max(w.sums.Scratch(in[:last], in[last], threads), w.grad.Scratch(in, out, threads))
}

// CPU binds the gradient.
func (w withSums) CPU(l kernels.Launch) func(*cpu.Pool) {
	s, ok := newSlabs(l.In[0].Shape, w.grad.o.Groups, l.Threads)
	switch last := len(l.In) - 1; {
	case !ok:
		sums := w.sums.CPU(kernels.Launch{In: l.In[:last], Out: l.In[last], Scratch: l.Scratch, Threads: l.Threads})
		grad := w.grad.CPU(l)
		return func(p *cpu.Pool) {
			sums(p)
			grad(p)
		}
	case l.In[0].Type == number.BFloat16:
		return bindWithSums[uint16](w, s, l)
	}
	return bindWithSums[float32](w, s, l)
}

func bindWithSums[T cpu.Element](w withSums, s slabs, l kernels.Launch) func(*cpu.Pool) {
	heads, silu, c := w.grad.heads(), w.grad.o.SiLU, s.channels
	x, dy, sums := kernels.View[T](l.In[0]), kernels.View[T](l.In[heads]), l.In[heads+1].Data
	dx, add := kernels.View[T](l.Out), kernels.View[T](l.Add)
	f, size := w.grad.fields32(l, c), s.worker(6, w.kept())
	var k kernelsOf[T]
	task := func(task, worker int) {
		n, first, cols := s.part(task)
		x, dy := channels(s, x, n, first, cols), channels(s, dy, n, first, cols)
		dx, add := channels(s, dx, n, first, cols), channels(s, add, n, first, cols)
		own := l.Scratch[worker*size:][:size]
		take := func(n int) []float32 {
			part := own[:n]
			own = own[n:]
			return part
		}
		du := cpu.Matrix{}
		if silu {
			du = cpu.Matrix{Data: take(s.pixels * cols), Rows: s.pixels, Cols: cols, Pitch: cols}
		}
		blocks, spare := take(2*s.blocks*cols), take(2*cols)
		a, b, q, r := take(cols), take(cols), take(cols), take(cols)
		f.lines(n, first, a, b)
		for i := range s.blocks {
			from, rows := s.rows(i)
			k.gradSums(silu, blocks[2*i*cols:][:2*cols], spare, rowsOf(du, from, rows), rowsOf(x, from, rows), rowsOf(dy, from, rows), a, b)
		}
		s.total(sums[2*n*c:], blocks, cols, first)
		f.corrections(sums, n, first, s.pixels, q, r)
		if silu {
			k.norms.DuAffine(dx, x, du, a, q, r, add)
		} else {
			k.norms.GradAffine(dx, x, dy, a, q, r, add)
		}
	}
	return func(p *cpu.Pool) {
		k = newKernels[T](p)
		p.Run(s.n*s.count, task)
	}
}

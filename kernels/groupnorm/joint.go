package groupnorm

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// Two launches fused into one: the statistics with the normalisation, and the sums with the
// gradient of the input. A task is one image. It is still in the cache in the second pass,
// so that tensors are read from memory once. If the image is small enough, the gradient
// before the activation is kept, and so computed once. The results have the same bits as
// those of the two launches. With too few images for the threads, the two run one by one.
//
// Tasks of some channels of an image would be more and smaller, but slower: rows of 64
// channels that are a power of two apart fall into few sets of the cache, and 32×32 pixels
// of 256 channels took two to three times as long.

// whole says whether images are enough for all threads.
func (s images) whole(threads int) bool { return s.n%threads == 0 || s.n >= 2*threads }

// rowsOfImage returns an image of a matrix, or nothing of one that is not there.
func rowsOfImage[T cpu.Element](s images, m cpu.MatrixOf[T], n int) cpu.MatrixOf[T] {
	return rowsOf(m, n*s.pixels, s.pixels)
}

// worker is the working memory of one worker: vectors of channels, two for every
// block and others, and elements.
func (s images) worker(vectors, elements int) int {
	return ((2*s.blocks+vectors)*s.channels + elements + 15) / 16 * 16
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
	if s := newImages(in[0]); s.whole(threads) {
		return threads * s.worker(2, 0)
	}
	return max(w.stats.Scratch(in[:1], in[1], threads), w.apply.Scratch(in, out, threads))
}

// CPU binds the normalisation.
func (w withStats) CPU(l kernels.Launch) func(*cpu.Pool) {
	switch s := newImages(l.In[0].Shape); {
	case !s.whole(l.Threads):
		stats := w.stats.CPU(kernels.Launch{In: l.In[:1], Out: l.In[1], Scratch: l.Scratch, Threads: l.Threads})
		apply := w.apply.CPU(l)
		return func(p *cpu.Pool) {
			stats(p)
			apply(p)
		}
	case l.In[0].Type == number.BFloat16:
		return bindWithStats[uint16](w, l)
	}
	return bindWithStats[float32](w, l)
}

func bindWithStats[T cpu.Element](w withStats, l kernels.Launch) func(*cpu.Pool) {
	s, x, y, stats := newImages(l.In[0].Shape), kernels.View[T](l.In[0]), kernels.View[T](l.Out), l.In[1].Data
	c, o := s.channels, w.apply.o
	f, size := w.apply.fields32(l, c), s.worker(2, 0)
	var k kernelsOf[T]
	image := func(n, worker int) {
		x, y := rowsOfImage(s, x, n), rowsOfImage(s, y, n)
		own := l.Scratch[worker*size:][:size]
		measured, spare := own[:2*s.blocks*c], own[2*s.blocks*c:][:2*c]
		for b := range s.blocks {
			from, rows := s.rows(b)
			k.measure(measured[2*b*c:][:2*c], spare, rowsOf(x, from, rows))
		}
		s.merge(stats[2*n*o.Groups:], measured, w.stats.o)
		a, b := spare[:c], spare[c:]
		f.lines(n, a, b)
		k.affine(o.SiLU, y, x, a, b)
	}
	return func(p *cpu.Pool) {
		k = newKernels[T](p)
		p.Run(s.n, image)
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

// mostKept is the size in bytes of the largest image whose gradient before the activation is
// kept. That of a larger image would not stay in a core's own cache, and takes longer to
// fetch than to compute again.
const mostKept = 256 << 10

// kept is how many numbers a worker keeps of images of an element type.
func (w withSums) kept(s images, of number.Type) int {
	if n := s.pixels * s.channels; w.grad.o.SiLU && n*of.Size() <= mostKept {
		return n
	}
	return 0
}

// Scratch is that of an image for every worker.
func (w withSums) Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	if s := newImages(in[0]); s.whole(threads) {
		return threads * s.worker(6, w.kept(s, number.BFloat16))
	}
	last := len(in) - 1
	return max(w.sums.Scratch(in[:last], in[last], threads), w.grad.Scratch(in, out, threads))
}

// CPU binds the gradient.
func (w withSums) CPU(l kernels.Launch) func(*cpu.Pool) {
	last := len(l.In) - 1
	switch s := newImages(l.In[0].Shape); {
	case !s.whole(l.Threads):
		sums := w.sums.CPU(kernels.Launch{In: l.In[:last], Out: l.In[last], Scratch: l.Scratch, Threads: l.Threads})
		grad := w.grad.CPU(l)
		return func(p *cpu.Pool) {
			sums(p)
			grad(p)
		}
	case l.In[0].Type == number.BFloat16:
		return bindWithSums[uint16](w, l)
	}
	return bindWithSums[float32](w, l)
}

func bindWithSums[T cpu.Element](w withSums, l kernels.Launch) func(*cpu.Pool) {
	s, heads, silu := newImages(l.In[0].Shape), w.grad.heads(), w.grad.o.SiLU
	x, dy, sums := kernels.View[T](l.In[0]), kernels.View[T](l.In[heads]), l.In[heads+1].Data
	dx, add := kernels.View[T](l.Out), kernels.View[T](l.Add)
	c, kept := s.channels, w.kept(s, l.In[0].Type)
	f, size := w.grad.fields32(l, c), s.worker(6, kept)
	var k kernelsOf[T]
	image := func(n, worker int) {
		x, dy := rowsOfImage(s, x, n), rowsOfImage(s, dy, n)
		dx, add := rowsOfImage(s, dx, n), rowsOfImage(s, add, n)
		own := l.Scratch[worker*size:][:size]
		take := func(n int) []float32 {
			part := own[:n]
			own = own[n:]
			return part
		}
		du := cpu.Matrix{}
		if kept > 0 {
			du = cpu.Matrix{Data: take(kept), Rows: s.pixels, Cols: c, Pitch: c}
		}
		blocks, spare := take(2*s.blocks*c), take(2*c)
		a, b, q, r := take(c), take(c), take(c), take(c)
		f.lines(n, a, b)
		for i := range s.blocks {
			from, rows := s.rows(i)
			k.gradSums(silu, blocks[2*i*c:][:2*c], spare, rowsOf(du, from, rows), rowsOf(x, from, rows), rowsOf(dy, from, rows), a, b)
		}
		s.total(sums[2*n*c:][:2*c], blocks)
		f.corrections(sums, n, s.pixels, q, r)
		switch {
		case kept > 0:
			k.norms.DuAffine(dx, x, du, a, q, r, add)
		case silu:
			k.norms.SiLUGradAffine(dx, x, dy, a, b, a, q, r, add)
		default:
			k.norms.GradAffine(dx, x, dy, a, q, r, add)
		}
	}
	return func(p *cpu.Pool) {
		k = newKernels[T](p)
		p.Run(s.n, image)
	}
}

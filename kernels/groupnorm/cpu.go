package groupnorm

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// Sums over pixels are a tree of this many rows a leaf and a block.
const (
	leafRows  = 32
	blockRows = 8 * leafRows
)

// images is the loop structure of all kernels here: every image is cut into
// blocks of rows, whatever the number of threads.
type images struct{ n, pixels, channels, blocks int }

func newImages(x tensor.Shape) images {
	pixels := x[1] * x[2]
	return images{x[0], pixels, x[3], (pixels + blockRows - 1) / blockRows}
}

// block returns the image of a task and its rows of m.
func (s images) block(m cpu.Matrix, task int) (n int, rows cpu.Matrix) {
	n = task / s.blocks
	first := task % s.blocks * blockRows
	return n, kernels.Rows(m, n*s.pixels+first, min(blockRows, s.pixels-first))
}

// leaves calls f for at most leafRows rows at a time.
func leaves(rows int, f func(from, n int)) {
	for r := 0; r < rows; r += leafRows {
		f(r, min(leafRows, rows-r))
	}
}

func addTo(acc, x []float32) {
	for i, e := range x {
		acc[i] += e
	}
}

func (statsOp) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 4 * int64(in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (statsOp) Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	s := newImages(in[0])
	return (s.n*s.blocks + s.n + threads) * s.channels
}

func (o statsOp) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := newImages(l.In[0].Shape)
	c := s.channels
	partial := l.Scratch[:s.n*s.blocks*c]
	means := l.Scratch[s.n*s.blocks*c:][:s.n*c]
	leaf := l.Scratch[(s.n*s.blocks+s.n)*c:]
	per := c / o.o.Groups
	count := float64(per * s.pixels)
	var k *cpu.Kernels
	sum := func(task, worker int) {
		_, x := s.block(l.In[0].Matrix, task)
		acc, part := partial[task*c:(task+1)*c], leaf[worker*c:(worker+1)*c]
		clear(acc)
		leaves(x.Rows, func(from, n int) {
			clear(part)
			k.ColSum(part, kernels.Rows(x, from, n))
			addTo(acc, part)
		})
	}
	squares := func(task, worker int) {
		n, x := s.block(l.In[0].Matrix, task)
		acc, part := partial[task*c:(task+1)*c], leaf[worker*c:(worker+1)*c]
		clear(acc)
		leaves(x.Rows, func(from, rows int) {
			clear(part)
			k.ColSumSquares(part, means[n*c:(n+1)*c], kernels.Rows(x, from, rows))
			addTo(acc, part)
		})
	}
	group := func(n, g int) float64 {
		total := 0.0
		for b := range s.blocks {
			for _, e := range partial[(n*s.blocks+b)*c+g*per:][:per] {
				total += float64(e)
			}
		}
		return total / count
	}
	mean := func(n, _ int) {
		for g := range o.o.Groups {
			m := float32(group(n, g))
			l.Out.Data[(n*o.o.Groups+g)*2] = m
			for i := range per {
				means[n*c+g*per+i] = m
			}
		}
	}
	rstd := func(n, _ int) {
		for g := range o.o.Groups {
			l.Out.Data[(n*o.o.Groups+g)*2+1] = float32(1 / math.Sqrt(group(n, g)+o.o.Epsilon))
		}
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(s.n*s.blocks, sum)
		p.Run(s.n, mean)
		p.Run(s.n*s.blocks, squares)
		p.Run(s.n, rstd)
	}
}

// fields32 reads the small inputs of a launch.
func (c common) fields32(l kernels.Launch, channels int) fields[float32] {
	f := fields[float32]{l.In[1].Data, l.In[2].Data, l.In[3].Data, nil, c.o.Groups, channels}
	if c.scaleShift {
		f.scaleShift = l.In[4].Data
	}
	return f
}

// lines writes a and b of u = a·x + b for the channels of image n.
func (f fields[T]) lines(n int, a, b []float32) {
	for c := range a {
		ac, bc := f.line(n, c)
		a[c], b[c] = float32(ac), float32(bc)
	}
}

// vectors cuts scratch memory into this many vectors of channels for each image.
func (s images) vectors(scratch []float32, count int) func(n, i int) []float32 {
	return func(n, i int) []float32 { return scratch[(n*count+i)*s.channels:][:s.channels] }
}

func (apply) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 8 * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (apply) Scratch(in []tensor.Shape, _ tensor.Shape, _ int) int { return 2 * in[0][0] * in[0][3] }

func (a apply) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := newImages(l.In[0].Shape)
	f := a.fields32(l, s.channels)
	vector := s.vectors(l.Scratch, 2)
	var k *cpu.Kernels
	lines := func(n, _ int) { f.lines(n, vector(n, 0), vector(n, 1)) }
	rows := func(task, _ int) {
		n, x := s.block(l.In[0].Matrix, task)
		_, y := s.block(l.Out.Matrix, task)
		if a.o.SiLU {
			k.AffineSiLU(y, x, vector(n, 0), vector(n, 1))
		} else {
			k.Affine(y, x, vector(n, 0), vector(n, 1))
		}
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
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
	s := newImages(l.In[0].Shape)
	c := s.channels
	f := o.fields32(l, c)
	dy := l.In[o.heads()].Matrix
	vector := s.vectors(l.Scratch[:2*s.n*c], 2)
	partial := l.Scratch[2*s.n*c:][:2*s.n*s.blocks*c]
	leaf := l.Scratch[2*(s.n+s.n*s.blocks)*c:]
	var k *cpu.Kernels
	lines := func(n, _ int) { f.lines(n, vector(n, 0), vector(n, 1)) }
	block := func(task, worker int) {
		n, x := s.block(l.In[0].Matrix, task)
		_, g := s.block(dy, task)
		acc, part := partial[2*task*c:][:2*c], leaf[2*worker*c:][:2*c]
		clear(acc)
		leaves(x.Rows, func(from, rows int) {
			clear(part)
			x, g := kernels.Rows(x, from, rows), kernels.Rows(g, from, rows)
			if o.o.SiLU {
				k.SiLUGradSums(part[:c], part[c:], x, g, vector(n, 0), vector(n, 1))
			} else {
				k.GradSums(part[:c], part[c:], x, g, vector(n, 0), vector(n, 1))
			}
			addTo(acc, part)
		})
	}
	total := func(n, _ int) {
		out := l.Out.Data[2*n*c:][:2*c]
		for i := range out {
			sum := 0.0
			for b := range s.blocks {
				sum += float64(partial[2*(n*s.blocks+b)*c+i])
			}
			out[i] = float32(sum)
		}
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
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
	s := newImages(l.In[0].Shape)
	f := g.fields32(l, s.channels)
	dy, sums := l.In[g.heads()].Matrix, l.In[g.heads()+1].Data
	vector := s.vectors(l.Scratch, 4) // a, b, q, r
	per := s.channels / g.o.Groups
	var k *cpu.Kernels
	lines := func(n, _ int) {
		f.lines(n, vector(n, 0), vector(n, 1))
		f.correction(sums, n, s.pixels, func(group int, q, r float64) {
			for c := group * per; c < (group+1)*per; c++ {
				vector(n, 2)[c], vector(n, 3)[c] = float32(q), float32(r)
			}
		})
	}
	rows := func(task, _ int) {
		n, x := s.block(l.In[0].Matrix, task)
		_, dy := s.block(dy, task)
		_, dx := s.block(l.Out.Matrix, task)
		add := l.Add.Matrix
		if add.Data != nil {
			_, add = s.block(add, task)
		}
		a, b, q, r := vector(n, 0), vector(n, 1), vector(n, 2), vector(n, 3)
		if g.o.SiLU {
			k.SiLUGradAffine(dx, x, dy, a, b, a, q, r, add)
		} else {
			k.GradAffine(dx, x, dy, a, b, a, q, r, add)
		}
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(s.n, lines)
		p.Run(s.n*s.blocks, rows)
	}
}

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
	return func(*cpu.Pool) { f.parameterGrad(g.which, l.Out.Data, sum) }
}

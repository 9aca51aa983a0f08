package attention

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"

	"gorgonia.org/tensor"
)

// blockQueries is the number of queries whose scores are in memory at a time.
const blockQueries = 96

// slack lies behind each block of scores: micro-kernels may read past a row.
const slack = 64

func (s size) scores() int { return blockQueries*s.pixels + slack }

// part returns queries, keys or values of one head of one image in m, whose rows are pixels.
func (s size) part(m cpu.Matrix, n, part, h int) cpu.Matrix {
	return cpu.Matrix{
		Data: m.Data[n*s.pixels*m.Pitch+part*s.inner()+h*s.dim:],
		Rows: s.pixels, Cols: s.dim, Pitch: m.Pitch,
	}
}

// straight and turned are a matrix and its transpose as weights.
func straight(m cpu.Matrix) gemm.Weights {
	return gemm.Weights{Data: m.Data, DepthStride: m.Pitch, ColStride: 1}
}

func turned(m cpu.Matrix) gemm.Weights {
	return gemm.Weights{Data: m.Data, DepthStride: 1, ColStride: m.Pitch}
}

// softmax turns scores into probabilities, row by row.
func softmax(k *cpu.Kernels, scores cpu.Matrix, scale float32) {
	for r := range scores.Rows {
		row := scores.Row(r)
		sum := k.ExpSum(row, row, scale, scale*k.RowMax(row))
		m := kernels.Rows(scores, r, 1)
		k.Scale(m, m, 1/sum)
	}
}

// head is one worker's memory for one head.
type head struct {
	local  *gemm.Local
	packed [3][]float32
	scores [2][]float32
}

// heads divides the scratch among the workers.
func heads(s size, l kernels.Launch, packs, scores int) []head {
	hs := make([]head, l.Threads)
	free := l.Scratch
	take := func(n int) []float32 {
		part := free[:n:n]
		free = free[n:]
		return part
	}
	for i := range hs {
		hs[i].local = gemm.NewLocal(max(s.pixels, s.dim))
		for j := range packs {
			hs[i].packed[j] = take(s.packed())
		}
		for j := range scores {
			hs[i].scores[j] = take(s.scores())
		}
	}
	return hs
}

func (s size) packed() int {
	return max(gemm.PackedSize(s.dim, s.pixels), gemm.PackedSize(s.pixels, s.dim))
}

func (h head) block(i, rows, pixels int) cpu.Matrix {
	return cpu.Matrix{Data: h.scores[i], Rows: rows, Cols: pixels, Pitch: pixels}
}

func (f forward) Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	s := newSize(in[0], f.heads)
	return threads * (2*s.packed() + s.scores())
}

func (f forward) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := newSize(l.In[0].Shape, f.heads)
	hs := heads(s, l, 2, 1)
	var k *cpu.Kernels
	task := func(task, worker int) {
		n, h, w := task/s.heads, task%s.heads, hs[worker]
		q, keys, values := s.part(l.In[0].Matrix, n, 0, h), s.part(l.In[0].Matrix, n, 1, h), s.part(l.In[0].Matrix, n, 2, h)
		w.local.Pack(k, w.packed[0], turned(keys), s.dim, s.pixels)
		w.local.Pack(k, w.packed[1], straight(values), s.pixels, s.dim)
		out := s.part(l.Out.Matrix, n, 0, h)
		for i := 0; i < s.pixels; i += blockQueries {
			queries := kernels.Rows(q, i, blockQueries)
			p := w.block(0, queries.Rows, s.pixels)
			w.local.Product(k, p, queries, w.packed[0])
			softmax(k, p, float32(s.scale()))
			w.local.Product(k, kernels.Rows(out, i, blockQueries), p, w.packed[1])
		}
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(s.images*s.heads, task)
	}
}

func (g grad) Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	s := newSize(in[0], g.heads)
	return threads * (3*s.packed() + 2*s.scores())
}

func (g grad) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := newSize(l.In[0].Shape, g.heads)
	hs := heads(s, l, 3, 2)
	scale := float32(s.scale())
	var k *cpu.Kernels
	task := func(task, worker int) {
		n, h, w := task/s.heads, task%s.heads, hs[worker]
		q, keys, values := s.part(l.In[0].Matrix, n, 0, h), s.part(l.In[0].Matrix, n, 1, h), s.part(l.In[0].Matrix, n, 2, h)
		dq, dk, dv := s.part(l.Out.Matrix, n, 0, h), s.part(l.Out.Matrix, n, 1, h), s.part(l.Out.Matrix, n, 2, h)
		dy := s.part(l.In[1].Matrix, n, 0, h)
		w.local.Pack(k, w.packed[0], turned(keys), s.dim, s.pixels)
		w.local.Pack(k, w.packed[1], turned(values), s.dim, s.pixels)
		w.local.Pack(k, w.packed[2], straight(keys), s.pixels, s.dim)
		for i := 0; i < s.pixels; i += blockQueries {
			queries, grads := kernels.Rows(q, i, blockQueries), kernels.Rows(dy, i, blockQueries)
			p, dp := w.block(0, queries.Rows, s.pixels), w.block(1, queries.Rows, s.pixels)
			w.local.Product(k, p, queries, w.packed[0])
			softmax(k, p, scale)
			w.local.Product(k, dp, grads, w.packed[1])
			w.local.TransposedProduct(k, dv, p, grads, i > 0)
			for r := range p.Rows { // dp becomes the gradient of the scores
				row, drow := p.Row(r), dp.Row(r)
				k.SoftmaxGrad(drow, row, drow, float32(k.Dot(row, drow)), scale)
			}
			w.local.Product(k, kernels.Rows(dq, i, blockQueries), dp, w.packed[2])
			w.local.TransposedProduct(k, dk, dp, queries, i > 0)
		}
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
		p.Run(s.images*s.heads, task)
	}
}

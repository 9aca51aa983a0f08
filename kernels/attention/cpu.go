package attention

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"

	"gorgonia.org/tensor"
)

// Attention on the CPU works on tiles of scores that stay in the cache (Dao,
// FlashAttention-2, 2023). A task owns some queries, or some keys, and streams blocks
// of the others past them. A tile has a row for each that is streamed and a column for
// each that is owned. How many are owned is a matter of balance alone: a result has the
// same bits whoever owns it.
const (
	block   = 256 // rows streamed at a time: their sums are one in a register
	mostOwn = 96
	stepOwn = 16
)

// ownRows is how many rows a task owns: many, unless threads would idle.
func (s size) ownRows(threads int) int {
	for parts := ceil(s.pixels, mostOwn); ; parts++ {
		own := ceil(s.pixels, parts*stepOwn) * stepOwn
		if tasks := s.heads * s.images * ceil(s.pixels, own); own == stepOwn || tasks%threads == 0 || tasks >= 8*threads {
			return own
		}
	}
}

// cut is how many rows a task owns in a run, of so many that there is memory for.
func cut(c *kernels.Cut, own int) int {
	b := kernels.TileSize{Rows: own / stepOwn}
	return c.Of(b, b).Rows * stepOwn
}

func ceil(a, b int) int { return (a + b - 1) / b }

// operands are what a task reads and writes, each as rows of one head of one image.
type operands struct{ queries, keys, values kernels.Operand }

// of takes an operand that holds queries, keys and values side by side apart.
func (s size) of(qkv kernels.Operand, image, head int) operands {
	return operands{s.part(qkv, image, 0, head), s.part(qkv, image, 1, head), s.part(qkv, image, 2, head)}
}

// part is one of them, or the only part of an operand.
func (s size) part(o kernels.Operand, image, part, head int) kernels.Operand {
	return o.Part(image*s.pixels, s.pixels, part*s.inner()+head*s.dim, s.dim)
}

// some rows of a part.
func some(o kernels.Operand, first, n int) kernels.Operand { return o.Part(first, n, 0, o.Cols) }

// worker is one worker's memory.
type worker struct {
	local  *gemm.Local
	memory []float32     // of local
	packed [2][]float32  // own rows, as right operands
	tiles  [2]cpu.Matrix // scores, which become probabilities, and their gradients
	sums   [2]cpu.Matrix // results of own rows
	rows   [2][]float32  // a few rows in float32

	// A number for each own query: the largest score so far; the sum of exponentials
	// relative to it; by what sums so far are to be multiplied; and what the kernels
	// for exponentials and their gradients take.
	top, sum, rescale, shift, dot, factor, scale, zeros []float32
}

// layout calls take for each part of a worker's memory, with its size; matrices is how
// many there are of what may be two.
func (s size) layout(w *worker, own, matrices int, take func(floats int) []float32) {
	streamed := min(block, s.pixels)
	w.memory = take(gemm.LocalScratch(own, streamed, s.dim))
	for i := range matrices {
		w.packed[i] = take(gemm.PackedSize(own, s.dim))
		w.tiles[i] = cpu.Matrix{Pitch: gemm.TilePitch(own)}
		w.tiles[i].Data = take(streamed*w.tiles[i].Pitch + gemm.ReadPast)
		w.sums[i] = cpu.Matrix{Cols: s.dim, Pitch: s.pitch()}
		w.sums[i].Data = take(own * w.sums[i].Pitch)
		w.rows[i] = take(stepOwn * s.dim)
	}
	for _, column := range []*[]float32{&w.top, &w.sum, &w.rescale, &w.shift, &w.dot, &w.factor, &w.scale, &w.zeros} {
		*column = take(own)
	}
}

// pitch of sums.
func (s size) pitch() int { return ceil(s.dim, 16) * 16 }

// scratch is the size of the workers' memory, in floats.
func (s size) scratch(threads, own, matrices int) int {
	total := 0
	s.layout(&worker{}, own, matrices, func(floats int) []float32 {
		total += ceil(floats, 16) * 16
		return nil
	})
	return threads * total
}

// workers divides scratch memory, and returns what is left.
func (s size) workers(threads, own, matrices int, scratch []float32) ([]*worker, []float32) {
	list := make([]*worker, threads)
	for i := range list {
		list[i] = &worker{}
		s.layout(list[i], own, matrices, func(floats int) []float32 {
			part := scratch[:floats:floats]
			scratch = scratch[ceil(floats, 16)*16:]
			return part
		})
		list[i].local = gemm.NewLocal(own, min(block, s.pixels), s.dim, list[i].memory)
	}
	return list, scratch
}

// begin prepares for so many own rows.
func (w *worker) begin(own int) {
	for i := range w.sums {
		w.sums[i].Rows, w.tiles[i].Cols = own, own
		clear(w.sums[i].Data[:ceil(own, stepOwn)*stepOwn*w.sums[i].Pitch]) // whole squares, which may be turned
	}
	for i := range own {
		w.top[i], w.sum[i] = -math.MaxFloat32, 0
	}
}

// tile i for so many streamed rows.
func (w *worker) tile(i, rows int) cpu.Matrix {
	w.tiles[i].Rows = rows
	return w.tiles[i]
}

// softmax goes on with the softmax of columns (FlashAttention-2, algorithm 1): the
// scores of the next keys become exp(scale·(score − top)).
func (w *worker) softmax(k *cpu.Kernels, scores cpu.Matrix, scale float32) {
	own := scores.Cols
	before := w.rescale[:own]
	copy(before, w.top)
	k.ColMax(w.top[:own], scores)
	for i, top := range w.top[:own] {
		w.rescale[i] = float32(math.Exp(float64(scale * (before[i] - top))))
		w.sum[i] *= w.rescale[i]
		w.shift[i] = scale * top
	}
	k.ExpColumns(scores, scores, scale, w.shift[:own])
	for r := 0; r < scores.Rows; r += leafRows {
		leaf := w.dot[:own]
		clear(leaf)
		k.ColSum(leaf, kernels.Rows(scores, r, leafRows))
		for i, x := range leaf {
			w.sum[i] += x
		}
	}
}

// leafRows is how many terms are summed before they join the rest, for float32 to be exact enough.
const leafRows = 32

func (f forward) Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	s := newSize(in[0], f.heads)
	return s.scratch(threads, s.ownRows(threads), 1)
}

// TakesBFloat16 says yes.
func (forward) TakesBFloat16() bool { return true }

func (f forward) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := newSize(l.In[0].Shape, f.heads)
	most := s.ownRows(l.Threads)
	workers, _ := s.workers(l.Threads, most, 1, l.Scratch)
	var own, tasks int
	scale := float32(s.scale())
	var k *cpu.Kernels
	task := func(task, worker int) {
		image, head, first := task/tasks/s.heads, task/tasks%s.heads, task%tasks*own
		in, w := s.of(l.In[0], image, head), workers[worker]
		queries := some(in.queries, first, own)
		w.begin(queries.Rows)
		w.local.Pack(k, w.packed[0], queries)
		for j := 0; j < s.pixels; j += block {
			keys := some(in.keys, j, block)
			p := w.tile(0, keys.Rows)
			w.local.Multiply(k, p, keys, w.packed[0])
			w.softmax(k, p, scale)
			if j > 0 {
				w.local.Turn(k, w.sums[0], keys)
				k.ScaleRows(w.sums[0], w.sums[0], w.rescale)
				w.local.Turn(k, w.sums[0], keys)
			}
			w.local.Accumulate(k, w.sums[0], p, some(in.values, j, block))
		}
		w.local.Turn(k, w.sums[0], queries)
		for i, sum := range w.sum[:queries.Rows] {
			w.factor[i] = 1 / sum
		}
		k.ScaleRows(w.sums[0], w.sums[0], w.factor)
		kernels.Store(k, some(s.part(l.Out, image, 0, head), first, own), w.sums[0])
	}
	return func(p *cpu.Pool) {
		k = p.Kernels()
		own = cut(l.Cut, most)
		tasks = ceil(s.pixels, own)
		p.Run(s.images*s.heads*tasks, task)
	}
}

package attention

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// onCPU is the gradient bound to its operands. With S = scale·QKᵀ, P = softmax(S) and
// Y = PV (FlashAttention-2, algorithm 2),
//
//	dV = Pᵀ·dY,  dP = dY·Vᵀ,  dS = P∘(dP − D),  D = Σ_c dY∘Y,  dQ = scale·dS·K,  dK = scale·dSᵀ·Q.
//
// Two passes compute P and dP, the first by queries, the second by keys: each sum has one
// owner. The first also finds the softmax of every query again, as the forward kernel
// has no place to leave it.
type onCPU struct {
	size
	kernels.Launch
	own, tasks    int
	kernels       *cpu.Kernels
	workers       []*worker
	shift, factor []float32 // P = exp(S − shift)·factor, of every query of every head
	dot           []float32 // D
	first, second func(task, worker int)
}

func (g grad) Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	s := newSize(in[0], g.heads)
	return s.scratch(threads, 2) + 3*s.queries()
}

// queries of all heads of all images.
func (s size) queries() int { return s.images * s.heads * s.pixels }

// TakesBFloat16 says yes.
func (grad) TakesBFloat16() bool { return true }

func (g grad) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := newSize(l.In[0].Shape, g.heads)
	own := s.ownRows(l.Threads)
	c := &onCPU{size: s, Launch: l, own: own, tasks: ceil(s.pixels, own)}
	workers, rest := s.workers(l.Threads, 2, l.Scratch)
	n := s.queries()
	c.workers, c.shift, c.factor, c.dot = workers, rest[:n], rest[n:2*n], rest[2*n:3*n]
	c.first, c.second = c.byQueries, c.byKeys
	return func(p *cpu.Pool) {
		c.kernels = p.Kernels()
		p.Run(s.images*s.heads*c.tasks, c.first)
		p.Run(s.images*s.heads*c.tasks, c.second)
	}
}

// at takes a task apart: its image, head, and first own row.
func (c *onCPU) at(task int) (image, head, first int) {
	return task / c.tasks / c.heads, task / c.tasks % c.heads, task % c.tasks * c.own
}

// of are numbers of the queries of one head.
func (c *onCPU) of(numbers []float32, image, head int) []float32 {
	return numbers[(image*c.heads+head)*c.pixels:][:c.pixels]
}

// byQueries computes dQ of own queries, and the numbers of their softmax.
func (c *onCPU) byQueries(task, worker int) {
	image, head, first := c.at(task)
	k, w, scale := c.kernels, c.workers[worker], float32(c.scale())
	in, out := c.size.of(c.In[0], image, head), c.size.of(c.Out, image, head)
	queries := some(in.queries, first, c.own)
	dy := some(c.part(c.In[1], image, 0, head), first, c.own)
	own := queries.Rows
	w.begin(own)
	w.local.Pack(k, w.packed[0], queries)
	w.local.Pack(k, w.packed[1], dy)
	for j := 0; j < c.pixels; j += block {
		keys := some(in.keys, j, block)
		scores := w.tile(0, keys.Rows)
		w.local.Multiply(k, scores, keys, w.packed[0])
		w.softmax(k, scores, scale)
	}
	w.dots(k, dy, some(c.part(c.In[2], image, 0, head), first, c.own))
	for i, sum := range w.sum[:own] {
		w.factor[i] = 1 / sum
	}
	copy(c.of(c.shift, image, head)[first:], w.shift[:own])
	copy(c.of(c.factor, image, head)[first:], w.factor[:own])
	copy(c.of(c.dot, image, head)[first:], w.dot[:own])
	for i := range own {
		w.factor[i] *= scale
	}
	for j := 0; j < c.pixels; j += block {
		keys := some(in.keys, j, block)
		p, ds := w.tile(0, keys.Rows), w.tile(1, keys.Rows)
		if c.pixels > block { // else the only block of probabilities is still there
			w.local.Multiply(k, p, keys, w.packed[0])
			k.ExpColumns(p, p, scale, w.shift[:own])
		}
		w.local.Multiply(k, ds, some(in.values, j, block), w.packed[1])
		k.SoftmaxGradColumns(ds, p, ds, w.dot[:own], w.factor[:own])
		w.local.Accumulate(k, w.sums[0], ds, keys)
	}
	w.finish(k, some(out.queries, first, c.own), 0)
}

// dots computes D of own queries.
func (w *worker) dots(k *cpu.Kernels, dy, y kernels.Operand) {
	for r := 0; r < dy.Rows; r += stepOwn {
		a := kernels.Loaded(k, w.rows[0], some(dy, r, stepOwn))
		b := kernels.Loaded(k, w.rows[1], some(y, r, stepOwn))
		for i := range a.Rows {
			w.dot[r+i] = float32(k.Dot(a.Row(i), b.Row(i)))
		}
	}
}

// byKeys computes dK and dV of own keys.
func (c *onCPU) byKeys(task, worker int) {
	image, head, first := c.at(task)
	k, w, scale := c.kernels, c.workers[worker], float32(c.scale())
	in, out := c.size.of(c.In[0], image, head), c.size.of(c.Out, image, head)
	allDY := c.part(c.In[1], image, 0, head)
	shift, factor, dot := c.of(c.shift, image, head), c.of(c.factor, image, head), c.of(c.dot, image, head)
	keys, values := some(in.keys, first, c.own), some(in.values, first, c.own)
	w.begin(keys.Rows)
	w.local.Pack(k, w.packed[0], keys)
	w.local.Pack(k, w.packed[1], values)
	for i := 0; i < c.pixels; i += block {
		queries, dy := some(in.queries, i, block), some(allDY, i, block)
		p, ds := w.tile(0, queries.Rows), w.tile(1, queries.Rows)
		w.local.Multiply(k, p, queries, w.packed[0])
		k.ExpRows(p, p, scale, shift[i:], factor[i:])
		w.local.Multiply(k, ds, dy, w.packed[1])
		w.local.Accumulate(k, w.sums[1], p, dy)
		k.SoftmaxGradRows(ds, p, ds, dot[i:], scale)
		w.local.Accumulate(k, w.sums[0], ds, queries)
	}
	w.finish(k, some(out.keys, first, c.own), 0)
	w.finish(k, some(out.values, first, c.own), 1)
}

// finish writes sum i to where it belongs.
func (w *worker) finish(k *cpu.Kernels, to kernels.Operand, i int) {
	w.local.Turn(k, w.sums[i], to)
	kernels.Store(k, to, w.sums[i])
}

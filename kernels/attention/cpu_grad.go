package attention

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// onCPU is the gradient bound to its operands. With S = scale·QKᵀ, P = softmax(S) and
// Y = PV (FlashAttention-2, algorithm 2),
//
//	dV = Pᵀ·dY,  dP = dY·Vᵀ,  dS = P∘(dP − D)·scale,  D = Σ_c dY∘Y,  dQ = dS·K,  dK = dSᵀ·Q.
//
// Two passes compute P and dP, the first by queries, the second by keys: each sum has one
// owner. The first also finds the softmax of every query again, as the forward kernel
// has no place to leave it. Where the sums of a whole head stay in the cache and there are
// heads enough for all threads, a task is a head, and one pass does, with two products
// less. It adds in the same order: the way depends on the number of threads, but no bit does.
type onCPU struct {
	size
	kernels.Launch
	own, tasks    int
	kernels       *cpu.Kernels
	workers       []*worker
	whole         [][2]cpu.Matrix // dK and dV of a worker's head; nil: two passes
	shift, factor []float32       // P = exp(S − shift)·factor, of every query of every head
	dot           []float32       // D
	first, second func(task, worker int)
}

// mostHead is the floats of a sum of a whole head.
const mostHead = 1 << 18

func (s size) smallHeads() bool { return s.headFloats() <= mostHead }

// wholeHeads tells whether tasks are whole heads.
func (s size) wholeHeads(threads int) bool {
	tasks := s.images * s.heads
	return s.smallHeads() && (tasks%threads == 0 || tasks >= 4*threads)
}

// queryRows is how many queries are streamed past keys at a time: as many as a whole
// head takes at a time, where it could be a task.
func (s size) queryRows() int {
	if s.smallHeads() {
		return s.ownRows(1)
	}
	return block
}

// gradOwn is how many rows a task owns, or the part of a whole head.
func (s size) gradOwn(threads int) int {
	if s.wholeHeads(threads) {
		threads = 1
	}
	return s.ownRows(threads)
}

// headFloats is the size of one sum of a whole head.
func (s size) headFloats() int { return ceil(s.pixels, 16) * 16 * s.pitch() }

func (g grad) Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	s := newSize(in[0], g.heads)
	floats := s.scratch(threads, s.gradOwn(threads), 2)
	if s.wholeHeads(threads) {
		return floats + 2*threads*s.headFloats()
	}
	return floats + 3*s.queries()
}

// queries of all heads of all images.
func (s size) queries() int { return s.images * s.heads * s.pixels }

// TakesBFloat16 says yes.
func (grad) TakesBFloat16() bool { return true }

func (g grad) CPU(l kernels.Launch) func(*cpu.Pool) {
	s := newSize(l.In[0].Shape, g.heads)
	own := s.gradOwn(l.Threads)
	c := &onCPU{size: s, Launch: l, own: own, tasks: ceil(s.pixels, own)}
	workers, rest := s.workers(l.Threads, own, 2, l.Scratch)
	c.workers = workers
	if s.wholeHeads(l.Threads) {
		n := s.headFloats()
		for i := range l.Threads {
			sum := func(j int) cpu.Matrix {
				return cpu.Matrix{Data: rest[(2*i+j)*n:][:n], Rows: s.pixels, Cols: s.dim, Pitch: s.pitch()}
			}
			c.whole = append(c.whole, [2]cpu.Matrix{sum(0), sum(1)})
		}
		c.first = c.byHeads
		return func(p *cpu.Pool) {
			c.kernels = p.Kernels()
			p.Run(s.images*s.heads, c.first)
		}
	}
	n := s.queries()
	c.shift, c.factor, c.dot = rest[:n], rest[n:2*n], rest[2*n:3*n]
	c.first, c.second = c.byQueries, c.byKeys
	return func(p *cpu.Pool) {
		c.kernels = p.Kernels()
		c.own = cut(c.Cut, own)
		c.tasks = ceil(s.pixels, c.own)
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

// byHeads computes everything of one head.
func (c *onCPU) byHeads(task, worker int) {
	w, sums := c.workers[worker], &c.whole[worker]
	clear(sums[0].Data)
	clear(sums[1].Data)
	image, head := task/c.heads, task%c.heads
	for first := 0; first < c.pixels; first += c.own {
		c.queries(w, image, head, first, sums)
	}
	out := c.size.of(c.Out, image, head)
	w.finish(c.kernels, out.keys, sums[0])
	w.finish(c.kernels, out.values, sums[1])
}

// byQueries computes dQ of own queries, and leaves the numbers of their softmax.
func (c *onCPU) byQueries(task, worker int) {
	image, head, first := c.at(task)
	w := c.workers[worker]
	own := c.queries(w, image, head, first, nil)
	copy(c.of(c.shift, image, head)[first:], w.shift[:own])
	copy(c.of(c.factor, image, head)[first:], w.factor[:own])
	copy(c.of(c.dot, image, head)[first:], w.dot[:own])
}

// queries computes dQ of own queries from one on, and adds their part to dK and dV if
// they are wanted. It returns how many queries there are.
func (c *onCPU) queries(w *worker, image, head, first int, whole *[2]cpu.Matrix) int {
	k, scale := c.kernels, float32(c.scale())
	in := c.size.of(c.In[0], image, head)
	queries := some(in.queries, first, c.own)
	dy := some(c.part(c.In[1], image, 0, head), first, c.own)
	own := queries.Rows
	w.begin(own)
	w.local.Pack(k, w.packed[0], queries)
	w.local.Pack(k, w.packed[1], dy)
	for j := 0; j < c.pixels; j += block {
		keys := some(in.keys, j, block)
		p := w.tile(0, keys.Rows)
		w.local.Multiply(k, p, keys, w.packed[0])
		w.softmax(k, p, scale)
	}
	w.dots(k, dy, some(c.part(c.In[2], image, 0, head), first, c.own))
	for i, sum := range w.sum[:own] {
		w.factor[i], w.scale[i], w.zeros[i] = 1/sum, scale, 0
	}
	for j := 0; j < c.pixels; j += block {
		keys := some(in.keys, j, block)
		p, ds := w.tile(0, keys.Rows), w.tile(1, keys.Rows)
		if c.pixels > block { // else the only block of exponentials is still there
			w.local.Multiply(k, p, keys, w.packed[0])
			k.ExpColumns(p, p, scale, w.shift[:own])
		}
		k.Affine(p, p, w.factor[:own], w.zeros[:own])
		w.local.Multiply(k, ds, some(in.values, j, block), w.packed[1])
		k.SoftmaxGradColumns(ds, p, ds, w.dot[:own], w.scale[:own])
		if whole == nil {
			w.local.Accumulate(k, w.sums[0], ds, keys)
			continue
		}
		w.local.AccumulateBoth(k, w.sums[0], kernels.Rows(whole[0], j, block), ds, keys, queries)
		w.local.AccumulateTurned(k, kernels.Rows(whole[1], j, block), p, dy)
	}
	w.finish(k, some(c.size.of(c.Out, image, head).queries, first, c.own), w.sums[0])
	return own
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
	step := c.queryRows()
	for i := 0; i < c.pixels; i += step {
		queries, dy := some(in.queries, i, step), some(allDY, i, step)
		p, ds := w.tile(0, queries.Rows), w.tile(1, queries.Rows)
		w.local.Multiply(k, p, queries, w.packed[0])
		k.ExpRows(p, p, scale, shift[i:], factor[i:])
		w.local.Multiply(k, ds, dy, w.packed[1])
		w.local.Accumulate(k, w.sums[1], p, dy)
		k.SoftmaxGradRows(ds, p, ds, dot[i:], scale)
		w.local.Accumulate(k, w.sums[0], ds, queries)
	}
	w.finish(k, some(out.keys, first, c.own), w.sums[0])
	w.finish(k, some(out.values, first, c.own), w.sums[1])
}

// finish writes a sum to where it belongs.
func (w *worker) finish(k *cpu.Kernels, to kernels.Operand, sum cpu.Matrix) {
	w.local.Turn(k, sum, to)
	kernels.Store(k, to, sum)
}

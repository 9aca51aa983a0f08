package muon

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"
	"fluxion/kernels/optim"
)

// bound is an update on the CPU.
type bound struct {
	update
	launch  kernels.Launch
	work    work
	shapes  map[[2]int]*products
	kernels *cpu.Kernels
	row     Row
	scale   float32

	adamW, undecayedAdamW cpu.AdamW // of what is no matrix

	norms []float32 // of directions, inverse; by matrix
	at    Matrix    // that is made orthogonal, and its number
	index int
	c     [3]float32
}

// products are those of all matrices of a shape, from X to Y and from Y to X.
type products struct {
	gram, apply [2]func(*cpu.Pool)
	square      func(*cpu.Pool)
}

func (u update) CPU(l kernels.Launch) func(*cpu.Pool) {
	n := l.Out.Shape.TotalSize()
	u.check(n)
	b := &bound{update: u, launch: l, work: u.work(n), shapes: map[[2]int]*products{}, norms: make([]float32, len(u.matrices))}
	for _, m := range u.matrices {
		if shape := [2]int{m.Rows, m.Columns}; b.shapes[shape] == nil {
			b.shapes[shape] = b.bind(m)
		}
	}
	directions, update := b.directions, b.step
	norm, begin, finish, powers := b.norm, b.begin, b.finish, b.powers
	return func(p *cpu.Pool) {
		factor, ok := u.hyper.Clip.Factor(float64(l.In[normInput].Data[0]))
		if !ok {
			return
		}
		b.kernels, b.row, b.scale = p.Kernels(), u.hyper.row(), float32(factor)
		b.prepare()
		optim.Run(p, n, directions)
		p.Run(len(u.matrices), norm)
		for i, m := range u.matrices {
			b.at, b.index = m, i
			products := b.shapes[[2]int{m.Rows, m.Columns}]
			optim.Run(p, m.size(), begin)
			for k := range iterations {
				b.c = m.polynomial(k)
				products.gram[k%2](p)
				products.square(p)
				optim.Run(p, m.side()*m.side(), powers)
				products.apply[k%2](p)
			}
			optim.Run(p, m.size(), finish)
		}
		optim.Run(p, n, update)
	}
}

// prepare sets the numbers of AdamW.
func (b *bound) prepare() {
	r := &b.row
	b.adamW = cpu.AdamW{
		LR: r.Rate, Beta1: r.Beta1, Beta2: r.Beta2, Eps: r.Epsilon, WeightDecay: r.Decay,
		C1: r.Correction1, C2: r.Correction2, GradScale: b.scale, EMADecay: r.EMADecay,
	}
	b.undecayedAdamW = b.adamW
	b.undecayedAdamW.WeightDecay = 0
}

// bind makes the products of a shape.
func (b *bound) bind(m Matrix) *products {
	scratch, side := b.launch.Scratch, m.side()
	matrix := func(at, rows, columns int) cpu.Matrix {
		return cpu.Matrix{Data: scratch[at:], Rows: rows, Cols: columns, Pitch: columns}
	}
	a, squared := matrix(b.work.a, side, side), matrix(b.work.b, side, side)
	// product is in·w, or in·wᵀ.
	product := func(in, w, out cpu.Matrix, transposed bool) func(*cpu.Pool) {
		weights := gemm.Weights{Data: w.Data[:w.Rows*w.Cols], DepthStride: w.Cols, ColStride: 1}
		if transposed {
			weights.DepthStride, weights.ColStride = 1, w.Cols
		}
		return gemm.Product{
			Geometry: gemm.Dense(in.Rows), Depth: in.Cols, Width: out.Cols, In: in, Out: out, W: weights,
			Scratch: scratch[b.work.rest:], Threads: b.launch.Threads,
		}.Bind()
	}
	p := &products{square: product(a, a, squared, false)}
	for k, from := range []int{b.work.x, b.work.y} {
		x, y := matrix(from, m.Rows, m.Columns), matrix(b.work.x+b.work.y-from, m.Rows, m.Columns)
		if m.left() {
			p.gram[k], p.apply[k] = product(x, x, a, true), product(squared, x, y, false)
			continue
		}
		p.gram[k] = gemm.Transposed{Geometry: gemm.Dense(m.Rows), Depth: side, Width: side, In: x, Grad: x, Out: a, Threads: b.launch.Threads}.Bind()
		p.apply[k] = product(x, squared, y, false)
	}
	return p
}

// directions of a task's matrices, from their momentum, which they bring up to date.
func (b *bound) directions(task, _ int) {
	r, n := &b.row, b.launch.Out.Shape.TotalSize()
	for at, end := task*optim.Block, min((task+1)*optim.Block, n); at < end; {
		to, inside := b.inside.Next(at, end)
		if inside {
			g, m, d := b.launch.In[gradients].Data[at:to], b.launch.In[moment1].Data[at:to], b.launch.Scratch[at:to]
			for i := range d {
				e := float32(g[i] * b.scale)
				v := float32(r.Momentum*m[i]) + e
				m[i] = v
				if r.Nesterov == 1 {
					v = e + float32(r.Momentum*v)
				}
				d[i] = v
			}
		}
		at = to
	}
}

// norm of a matrix.
func (b *bound) norm(i, _ int) {
	m := b.matrices[i]
	b.norms[i] = float32(1 / (math.Sqrt(b.kernels.SumSquares(b.launch.Scratch[m.Offset:][:m.size()])) + smallest))
}

// part is the elements of a task that matrices of n elements have.
func part(x []float32, n, task int) []float32 {
	return x[task*optim.Block : min((task+1)*optim.Block, n)]
}

// begin makes X of the directions of a matrix.
func (b *bound) begin(task, _ int) {
	n, factor := b.at.size(), b.norms[b.index]
	from, to := part(b.launch.Scratch[b.at.Offset:], n, task), part(b.launch.Scratch[b.work.x:], n, task)
	for i, x := range from {
		to[i] = factor * x
	}
}

// powers makes c₂A² + c₁A + c₀I of A².
func (b *bound) powers(task, _ int) {
	side := b.at.side()
	a := part(b.launch.Scratch[b.work.a:], side*side, task)
	for i, x := range a {
		at := task*optim.Block + i
		to := &b.launch.Scratch[b.work.b+at]
		y := float32(b.c[2]**to) + float32(b.c[1]*x)
		if at%(side+1) == 0 {
			y += b.c[0]
		}
		*to = y
	}
}

// finish brings Y, where an odd number of steps ends, back to the directions.
func (b *bound) finish(task, _ int) {
	n := b.at.size()
	copy(part(b.launch.Scratch[b.at.Offset:], n, task), part(b.launch.Scratch[b.work.y:], n, task))
}

// step changes the weights of a task.
func (b *bound) step(task, _ int) {
	n := b.launch.Out.Shape.TotalSize()
	for at, end := task*optim.Block, min((task+1)*optim.Block, n); at < end; {
		to, undecayed := b.undecayed.Next(at, end)
		to, inside := b.inside.Next(at, to)
		if inside {
			b.matrix(at, to, undecayed)
		} else {
			b.rest(at, to, undecayed)
		}
		at = to
	}
}

// matrix steps along directions.
func (b *bound) matrix(at, to int, undecayed bool) {
	r := &b.row
	decay := r.Decay
	if undecayed {
		decay = 0
	}
	p, d, average := b.launch.Out.Data[at:to], b.launch.Scratch[at:to], b.launch.In[average].Data[at:to]
	for i, x := range p {
		x -= float32(r.Rate * (d[i] + float32(decay*x)))
		p[i] = x
		average[i] += float32((1 - r.EMADecay) * (x - average[i]))
	}
}

// rest steps as AdamW does.
func (b *bound) rest(at, to int, undecayed bool) {
	h, in := &b.adamW, b.launch.In
	if undecayed {
		h = &b.undecayedAdamW
	}
	b.kernels.AdamW(h, b.launch.Out.Data[at:to], in[gradients].Data[at:to], in[moment1].Data[at:to], in[moment2].Data[at:to], in[average].Data[at:to])
}

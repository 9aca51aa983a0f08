package muon

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/gemm"
	"fluxion/kernels/number"
	"fluxion/kernels/optim"
	"fluxion/kernels/row"

	"gorgonia.org/tensor"
)

//go:embed muon.ptx.zst
var ptx string

var module = cuda.Register("muon", ptx)

// sums is the most blocks that share a sum of squares.
const sums = 256

func (u update) edges() []uint32 { return append(u.undecayed.Lines(), u.inside.Lines()...) }

// ParameterBytes is the size of a step's row, and of the edges behind it.
func (u update) ParameterBytes() int {
	return row.Bytes[Row](1) + row.Bytes[uint32](len(u.undecayed)+len(u.inside))
}

// PutParameters writes the row of a step.
func (u update) PutParameters(to []byte) { row.Put(row.Put(to, u.hyper.row()), u.edges()...) }

// CUDAScratch is the working memory, sums of squares and what the products need.
func (u update) CUDAScratch(l cuda.Launch) int {
	need := 0
	for _, m := range u.matrices {
		for k := range 2 {
			for _, p := range u.products(l, m, k, 0) {
				need = max(need, p.ScratchBytes())
			}
		}
	}
	return 4*u.work(l.Out.Shape.TotalSize()).rest + 8*sums + need
}

// places in working memory.
type places struct{ directions, x, y, a, b, sums, rest cuda.Address }

func (u update) places(l cuda.Launch) places {
	w := u.work(l.Out.Shape.TotalSize())
	at := func(floats int) cuda.Address { return l.Scratch + cuda.Address(4*floats) }
	return places{l.Scratch, at(w.x), at(w.y), at(w.a), at(w.b), at(w.rest), at(w.rest) + 8*sums}
}

// products of a step of Newton and Schulz, from X to Y or, k odd, from Y to X: A and A²,
// and X or Y, which goes to result if that is not 0.
func (u update) products(l cuda.Launch, m Matrix, k int, result cuda.Address) [3]gemm.CUDA {
	at := u.places(l)
	from, to := at.x, at.y
	if k%2 == 1 {
		from, to = to, from
	}
	if result != 0 {
		to = result
	}
	matrix := func(at cuda.Address, rows, columns int) cuda.Operand {
		return cuda.Operand{Address: at, Type: number.Float32, Shape: tensor.Shape{rows, columns}, Rows: rows, Cols: columns, Pitch: columns}
	}
	side := m.side()
	x, y := matrix(from, m.Rows, m.Columns), matrix(to, m.Rows, m.Columns)
	a, squared := matrix(at.a, side, side), matrix(at.b, side, side)
	product := func(kind gemm.Kind, a, b, out cuda.Operand) gemm.CUDA {
		return gemm.CUDA{Kind: kind, Walk: gemm.DenseWalk(1, a.Rows), Depth: a.Cols, Width: out.Cols, A: a, B: b, Out: out, Scratch: at.rest, Card: l.Card}
	}
	if m.left() {
		return [3]gemm.CUDA{product(gemm.NT, x, x, a), product(gemm.NN, a, a, squared), product(gemm.NN, squared, x, y)}
	}
	return [3]gemm.CUDA{product(gemm.TN, x, x, a), product(gemm.NN, a, a, squared), product(gemm.NN, x, squared, y)}
}

// CUDA returns the launches: momentum, the products of each matrix, the step.
func (u update) CUDA(l cuda.Launch) []cuda.Call {
	n := l.Out.Shape.TotalSize()
	u.check(n)
	at, block := u.places(l), [3]int{optim.Threads, 1, 1}
	flat := cuda.Args(append(optim.Buffers(u, l, normInput), len(u.undecayed), l.Parameters, at.directions, len(u.inside), 0)...)
	over := func(function string, args []byte) cuda.Call {
		return cuda.Call{Module: module, Function: function, Grid: optim.Grid(n), Block: block, Args: args}
	}
	call := func(function string, elements, most int, args ...any) cuda.Call {
		blocks := min((elements+optim.Threads-1)/optim.Threads, most)
		return cuda.Call{Module: module, Function: function, Grid: [3]int{blocks, 1, 1}, Block: block, Args: cuda.Args(args...)}
	}
	calls := []cuda.Call{over("muon_directions", flat)}
	for _, m := range u.matrices {
		directions := at.directions + cuda.Address(4*m.Offset)
		squares := call("muon_squares", m.size(), sums, at.sums, directions, m.size())
		calls = append(calls, squares, call("muon_normalise", m.size(), 1<<16, at.x, directions, at.sums, squares.Grid[0], m.size()))
		for k := range iterations {
			result := cuda.Address(0)
			if k == iterations-1 {
				result = directions
			}
			p, c, side := u.products(l, m, k, result), m.polynomial(k), m.side()
			calls = append(append(calls, p[0].Calls()...), p[1].Calls()...)
			calls = append(calls, call("muon_polynomial", side*side, 1<<30, at.b, at.a, side, c[0], c[1], c[2]))
			calls = append(calls, p[2].Calls()...)
		}
	}
	return append(calls, over("muon_update", flat))
}

package concat

import (
	_ "embed"
	"fmt"

	"fluxion/kernels/cuda"
	"fluxion/kernels/pointwise"
)

//go:embed concat.ptx.zst
var ptx string

var module = cuda.Register("concat", ptx)

// As in concat.cu.
const (
	threads   = 256
	each      = 4
	mostParts = 64
)

// CUDAScratch is none.
func (Op) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA launches copies of all parts, if the plan must make them.
func (Op) CUDA(l cuda.Launch) []cuda.Call {
	var calls []cuda.Call
	from := 0
	for _, x := range l.In {
		calls = append(calls, part(channels(l.Out, from, x.Cols), x))
		from += x.Cols
	}
	return cuda.SideBySide(calls)
}

// part is the copy of one part, in words of 16 bytes if it can be.
func part(to, from cuda.Operand) cuda.Call {
	size := to.Type.Size()
	word := 1
	if n := 16 / size; cuda.Vectors(n, to, from) {
		word = n
	}
	words := from.Cols / word
	return cuda.OneJob(cuda.Call{
		Module: module, Function: fmt.Sprint("concat_parts_", word*size),
		Grid: [3]int{(from.Rows*words + each*threads - 1) / (each * threads), 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(to.Address, from.Address, int64(to.Pitch/word), int64(from.Pitch/word), from.Rows, words),
	}, mostParts)
}

// CUDAScratch is none.
func (SliceOp) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA launches the copy, if the plan must make one.
func (o SliceOp) CUDA(l cuda.Launch) []cuda.Call {
	return []cuda.Call{pointwise.Copy(l.Out, channels(l.In[0], o.From, o.N))}
}

// channels returns n columns of a matrix.
func channels(o cuda.Operand, from, n int) cuda.Operand {
	o.Address += cuda.Address(from * o.Type.Size())
	o.Cols = n
	return o
}

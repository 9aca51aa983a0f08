package update

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/row"
)

//go:embed update.ptx.zst
var ptx string

var module = cuda.Register("update", ptx)

const (
	threads     = 128
	blockValues = 8 * threads // values of a block: what it reads of the row is little beside them
)

// The row of a step: a Row, then the number of each image.

// ParameterBytes is the size of a step's row.
func (k Op) ParameterBytes() int { return row.Bytes[Row](1) + row.Bytes[int64](k.Images) }

// PutParameters writes the row of a step.
func (k Op) PutParameters(to []byte) { row.Put(row.Put(to, *k.row), k.images...) }

// CUDAScratch is none.
func (Op) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (k Op) CUDA(l cuda.Launch) []cuda.Call {
	if err := k.checkNumbers(len(l.In)); err != nil {
		panic(err)
	}
	z, second := k.HalvesCUDA(l.Out, k.twice())
	y, unconditional := k.HalvesCUDA(l.In[0], k.Guided)
	if k.Combined {
		unconditional = cuda.Operand{}
	}
	pixels, operands := l.In[1].Address, make([]cuda.Operand, 4+MaxHistory)
	copy(operands, append([]cuda.Operand{z, second, y, unconditional}, l.In[slotsFrom:]...))
	views, dense := k.Views(operands...)
	function := "update_scalar"
	if dense && pixels%4 == 0 {
		function = "update_vector"
	}
	return []cuda.Call{{
		Module: module, Function: function,
		Grid: cuda.Spans(k.Images, k.Values(), blockValues), Block: [3]int{threads, 1, 1},
		Args: cuda.Args(views, pixels, k.Pixels, k.Channels, blockValues, 0, l.Parameters),
	}}
}

package inpaint

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/row"
)

//go:embed inpaint.ptx.zst
var ptx string

var module = cuda.Register("inpaint", ptx)

const threads = 128

// The row of a step: a Row, then the number of each image.

// ParameterBytes is the size of a step's row.
func (k Op) ParameterBytes() int { return row.Bytes[Row](1) + row.Bytes[int64](k.Images) }

// PutParameters writes the row of a step.
func (k Op) PutParameters(to []byte) { row.Put(row.Put(to, *k.row), k.images...) }

// CUDAScratch is none.
func (Op) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (k Op) CUDA(l cuda.Launch) []cuda.Call {
	if err := k.checkImages(); err != nil {
		panic(err)
	}
	picture, mask, pixels := l.In[0].Address, l.In[1].Address, l.In[2].Address
	function := "inpaint_scalar"
	views, dense := k.Views(k.HalvesCUDA(l.Out, k.Guided))
	if dense && (picture|mask)%16 == 0 && pixels%4 == 0 {
		function = "inpaint_vector"
	}
	return []cuda.Call{{
		Module: module, Function: function,
		Grid: cuda.Spans(k.Images, k.Values(), 4*threads), Block: [3]int{threads, 1, 1},
		Args: cuda.Args(views, picture, mask, pixels, k.Pixels, k.Channels, l.Parameters),
	}}
}

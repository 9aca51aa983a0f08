package guide

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/row"
)

//go:embed guide.ptx.zst
var ptx string

var module = cuda.Register("guide", ptx)

const threads = 256

// ParameterBytes is the size of a step's row, a Row.
func (Op) ParameterBytes() int { return row.Bytes[Row](1) }

// PutParameters writes the row of a step.
func (k Op) PutParameters(to []byte) { row.Put(to, *k.row) }

// CUDAScratch is none.
func (Op) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch, a block an image.
func (k Op) CUDA(l cuda.Launch) []cuda.Call {
	if err := k.checkInputs(len(l.In)); err != nil {
		panic(err)
	}
	z, _ := k.HalvesCUDA(l.In[0], k.Guided)
	y, unconditional := k.HalvesCUDA(l.Out, k.Guided)
	if k.Second {
		unconditional = l.In[1]
	}
	var estimates [2]cuda.Operand
	if k.Keep {
		estimates[0], estimates[1] = k.HalvesCUDA(l.In[len(l.In)-1], k.Guided)
	}
	function := "guide_scalar"
	views, dense := k.Views(z, y, unconditional, estimates[0], estimates[1])
	if dense {
		function = "guide_vector"
	}
	return []cuda.Call{{
		Module: module, Function: function, Grid: [3]int{k.Images, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(views, k.Pixels, k.Channels, l.Parameters),
	}}
}

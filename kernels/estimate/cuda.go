package estimate

import (
	_ "embed"

	"fluxion/kernels/cuda"
)

//go:embed estimate.ptx
var ptx string

var module = cuda.Register("estimate", ptx)

const (
	threads = 128
	span    = 8 * threads // values of a block
)

// view is struct View of group.cuh.
func view(o cuda.Operand) []byte { return cuda.Args(o.Address, uint64(o.Pitch)) }

// CUDAScratch is none.
func (Op) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch: one block for every span of values of every image.
func (Op) CUDA(l cuda.Launch) []cuda.Call {
	images := l.In[2].Shape[0]
	pixels, channels := l.Out.Rows/images, l.Out.Cols
	values := pixels * channels
	function := "estimate_image_vector"
	for _, o := range []cuda.Operand{l.Out, l.In[0], l.In[1]} {
		if o.Pitch != o.Cols || o.Address%16 != 0 || values%4 != 0 {
			function = "estimate_image_scalar"
		}
	}
	return []cuda.Call{{
		Module: module, Function: function, Grid: [3]int{(values + span - 1) / span, images, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(view(l.Out), view(l.In[0]), view(l.In[1]), view(l.In[2]), pixels, channels, span, 0),
	}}
}

package dropout

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

//go:embed dropout.ptx.zst
var ptx string

var module = cuda.Register("dropout", ptx)

const (
	threads = 128
	span    = 8 * threads // values of a block
)

// CUDAScratch is none.
func (Op) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch: one block for every span of values of every image.
func (o Op) CUDA(l cuda.Launch) []cuda.Call {
	keys := l.In[1]
	pixels, channels := l.Out.Rows/keys.Rows, l.Out.Cols
	values := pixels * channels
	function := "dropout_f32"
	if l.Out.Type == number.BFloat16 {
		function = "dropout_bf16"
	}
	if values%4 != 0 || !cuda.Vectors(4, l.Out, l.In[0]) || l.Out.Pitch != channels || l.In[0].Pitch != channels {
		function += "_any"
	}
	return []cuda.Call{{
		Module: module, Function: function, Grid: cuda.Spans(keys.Rows, values, span), Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.View(), l.In[0].View(), keys.View(), o.layer, o.share, o.scale(), pixels, channels, span),
	}}
}

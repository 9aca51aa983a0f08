package mix

import (
	_ "embed"

	"fluxion/kernels/cuda"
)

//go:embed mix.ptx.zst
var ptx string

var module = cuda.Register("mix", ptx)

const (
	threads = 128
	span    = 8 * threads // values of a block
)

// CUDAScratch is none.
func (Op) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch: one block for every span of values of every image.
func (o Op) CUDA(l cuda.Launch) []cuda.Call {
	n := o.terms()
	c := l.In[n]
	pixels, channels := l.Out.Rows/c.Rows, l.Out.Cols
	values := pixels * channels
	function := "mix_images_vector"
	args := l.Out.View()
	for k := range MaxTerms {
		if k >= n {
			args = append(args, cuda.Operand{}.View()...)
			continue
		}
		args = append(args, l.In[k].View()...)
	}
	for _, o := range append(l.In[:n:n], l.Out) {
		if o.Pitch != o.Cols || o.Address%16 != 0 || values%4 != 0 {
			function = "mix_images"
		}
	}
	return []cuda.Call{{
		Module: module, Function: function, Grid: cuda.Spans(c.Rows, values, span), Block: [3]int{threads, 1, 1},
		Args: cuda.Args(args, c.View(), o.from, n, o.limit(), pixels, channels, span),
	}}
}

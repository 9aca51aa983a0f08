package resample

import (
	_ "embed"

	"fluxion/kernels/cuda"
)

//go:embed resample.ptx.zst
var ptx string

var module = cuda.Register("resample", ptx)

const rowsPerThread = 4 // as in resample.cu

// launch covers the pixels of the smaller images.
func launch(function string, l cuda.Launch, small, large cuda.Operand, scale float32) []cuda.Call {
	t := cuda.Over(small, large)
	return []cuda.Call{{
		Module: module, Function: t.Function(function, l.Out.Type),
		Grid: t.Grid(rowsPerThread), Block: t.Block(),
		Args: cuda.Args(t.View(l.Out), t.View(l.In[0]), small.Rows, small.Shape[2], small.Cols, scale),
	}}
}

func (spread) CUDAScratch(cuda.Launch) int { return 0 }

func (o spread) CUDA(l cuda.Launch) []cuda.Call {
	return launch("resample_spread", l, l.In[0], l.Out, o.scale)
}

func (gather) CUDAScratch(cuda.Launch) int { return 0 }

func (o gather) CUDA(l cuda.Launch) []cuda.Call {
	return launch("resample_gather", l, l.Out, l.In[0], o.scale)
}

package pool

import (
	_ "embed"

	"fluxion/kernels/cuda"
)

//go:embed pool.ptx.zst
var ptx string

var module = cuda.Register("pool", ptx)

const rowsPerThread = 2 // as in pool.cu

// launch covers the pixels of the output.
func launch(function string, z size, out cuda.Operand, in ...cuda.Operand) []cuda.Call {
	t := cuda.Over(append([]cuda.Operand{out}, in...)...)
	args := []any{t.View(out)}
	for _, o := range in {
		args = append(args, t.View(o))
	}
	args = append(args, t.Rows, t.Cols, z.h, z.w, z.oh, z.ow, z.Side, z.Stride, z.Pad)
	return []cuda.Call{{Module: module, Function: t.Function(function, out.Type), Grid: t.Grid(rowsPerThread), Block: t.Block(), Args: cuda.Args(args...)}}
}

func (windows) CUDAScratch(cuda.Launch) int { return 0 }

func (p windows) CUDA(l cuda.Launch) []cuda.Call {
	x := l.In[0].Shape
	z := p.o.of(x[0], x[1], x[2])
	if p.max {
		return launch("pool_max", z, l.Out, l.In[0])
	}
	return launch("pool_mean", z, l.Out, l.In[0])
}

func (gradient) CUDAScratch(cuda.Launch) int { return 0 }

func (g gradient) CUDA(l cuda.Launch) []cuda.Call {
	z := g.o.of(l.Out.Shape[0], g.h, g.w)
	return launch("pool_mean_grad", z, l.Out, l.In[0])
}

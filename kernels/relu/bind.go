package relu

import (
	_ "embed"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
)

// CPU binds the operation.
func (o clip) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.RowLoop(l.Out.Matrix, func(k *cpu.Kernels, from, n int) {
		k.Clip(kernels.Rows(l.Out.Matrix, from, n), kernels.Rows(l.In[0].Matrix, from, n), o.limit)
	})
}

// CPU binds the operation.
func (o gradient) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, from, n int) {
		for r := from; r < from+n; r++ {
			dx := l.Out.Row(r)
			dy := l.In[1].Row(r)[:len(dx)]
			for i, x := range l.In[0].Row(r)[:len(dx)] {
				dx[i] = 0
				if x > 0 && x < o.limit {
					dx[i] = dy[i]
				}
			}
		}
	})
}

//go:embed relu.ptx
var ptx string

var module = cuda.Register("relu", ptx)

const rowsPerThread = 4 // as in relu.cu

// CUDAScratch of either direction: none.
func (operation) CUDAScratch(cuda.Launch) int { return 0 }

func launch(function string, limit float32, operands ...cuda.Operand) []cuda.Call {
	t := cuda.OverElements(operands...)
	var args []any
	for _, o := range operands {
		args = append(args, t.View(o))
	}
	args = append(args, t.Rows, t.Cols, limit)
	return []cuda.Call{{Module: module, Function: t.Function(function, operands[0].Type), Grid: t.Grid(rowsPerThread), Block: t.Block(), Args: cuda.Args(args...)}}
}

func (o clip) CUDA(l cuda.Launch) []cuda.Call { return launch("relu_clip", o.limit, l.Out, l.In[0]) }

func (o gradient) CUDA(l cuda.Launch) []cuda.Call {
	return launch("relu_grad", o.limit, l.Out, l.In[0], l.In[1])
}

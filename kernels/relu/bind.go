package relu

import (
	_ "embed"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

// TakesBFloat16 of either direction: yes.
func (operation) TakesBFloat16() bool { return true }

// CPU binds the operation.
func (o clip) CPU(l kernels.Launch) func(*cpu.Pool) {
	if l.Out.Type == number.BFloat16 {
		return kernels.Elements(l, func(x, _ float32) float32 { return min(max(x, 0), o.limit) })
	}
	return kernels.RowLoop(l.Out.Matrix, func(k *cpu.Kernels, from, n int) {
		k.Clip(kernels.Rows(l.Out.Matrix, from, n), kernels.Rows(l.In[0].Matrix, from, n), o.limit)
	})
}

// CPU binds the operation.
func (o gradient) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.Elements(l, func(x, dy float32) float32 {
		if x > 0 && x < o.limit {
			return dy
		}
		return 0
	})
}

//go:embed relu.ptx.zst
var ptx string

var module = cuda.Register("relu", ptx)

const rowsPerThread = 4 // as in relu.cu

// CUDAScratch of either direction: none.
func (operation) CUDAScratch(cuda.Launch) int { return 0 }

func launch(function string, limit float32, operands ...cuda.Operand) []cuda.Call {
	return cuda.Elements(module, function, rowsPerThread, operands, limit)
}

func (o clip) CUDA(l cuda.Launch) []cuda.Call { return launch("relu_clip", o.limit, l.Out, l.In[0]) }

func (o gradient) CUDA(l cuda.Launch) []cuda.Call {
	return launch("relu_grad", o.limit, l.Out, l.In[0], l.In[1])
}

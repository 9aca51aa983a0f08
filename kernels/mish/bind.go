package mish

import (
	_ "embed"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
)

// TakesBFloat16 of either direction: yes.
func (operation) TakesBFloat16() bool { return true }

// CPU binds the operation.
func (forward) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.Elements(l, func(x, _ float32) float32 { return float32(value(float64(x))) })
}

// CPU binds the operation.
func (gradient) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.Elements(l, func(x, dy float32) float32 { return float32(float64(dy) * slope(float64(x))) })
}

//go:embed mish.ptx.zst
var ptx string

var module = cuda.Register("mish", ptx)

const rowsPerThread = 4 // as in mish.cu

// CUDAScratch of either direction: none.
func (operation) CUDAScratch(cuda.Launch) int { return 0 }

func launch(function string, operands ...cuda.Operand) []cuda.Call {
	return cuda.Elements(module, function, rowsPerThread, operands)
}

// CUDA launches the operation.
func (forward) CUDA(l cuda.Launch) []cuda.Call { return launch("mish", l.Out, l.In[0]) }

// CUDA launches the operation.
func (gradient) CUDA(l cuda.Launch) []cuda.Call { return launch("mish_grad", l.Out, l.In[0], l.In[1]) }

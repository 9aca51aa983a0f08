package activation

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
)

// TakesBFloat16 of either direction: yes.
func (operation) TakesBFloat16() bool { return true }

// CPU binds the operation.
func (o forward) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.Elements(l, func(x, _ float32) float32 { return float32(o.function.Value(float64(x))) })
}

// CPU binds the operation.
func (o gradient) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.Elements(l, func(x, dy float32) float32 { return float32(float64(dy) * o.function.Slope(float64(x))) })
}

const rowsPerThread = 4 // as in activation.cuh

// CUDAScratch of either direction: none.
func (operation) CUDAScratch(cuda.Launch) int { return 0 }

func (o operation) launch(function string, operands ...cuda.Operand) []cuda.Call {
	return cuda.Elements(o.function.Module, function, rowsPerThread, operands)
}

// CUDA launches the operation.
func (o forward) CUDA(l cuda.Launch) []cuda.Call { return o.launch(o.function.Name, l.Out, l.In[0]) }

// CUDA launches the operation.
func (o gradient) CUDA(l cuda.Launch) []cuda.Call {
	return o.launch(o.function.Name+"_grad", l.Out, l.In[0], l.In[1])
}

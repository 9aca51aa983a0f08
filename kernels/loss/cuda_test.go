package loss

import (
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// Launches move little more than their operands, whole sectors of them.
func TestTrafficCUDA(t *testing.T) {
	const images, pixels, channels = 3, 32 * 32, 3
	const n = images * pixels * channels
	g := kerneltest.NewSimulator(t, 1)
	l := cuda.Launch{In: []cuda.Operand{
		g.Matrix(number.Float32, images*pixels, channels, 0, make([]float64, n)),
		g.Matrix(number.Float32, images*pixels, channels, 0, make([]float64, n)),
		g.Vector(number.Float32, make([]float64, images)),
	}}
	l.In[0].Shape = tensor.Shape{images, 32, 32, channels}
	l.Out = g.Empty(number.Float32, 1, 1, 0)
	l.Scratch = g.Alloc(Op{}.CUDAScratch(l))
	kerneltest.Traffic(t, g.Run(Op{}.CUDA(l)...), 8*n, 1.05)
	l.Out = g.Empty(number.Float32, images*pixels, channels, 0)
	kerneltest.Traffic(t, g.Run(grad{}.CUDA(l)...), 12*n, 1.05)
}

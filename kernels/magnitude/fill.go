package magnitude

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Fill is a tensor of one number, in the graph of another tensor, and an activation if that is
// one. It has no gradient.
func Fill(like *gorgonia.Node, value float64, shape ...int) *gorgonia.Node {
	return apply(functions{
		shape: func([]tensor.Shape) (tensor.Shape, error) { return tensor.Shape(shape).Clone(), nil },
		evaluate: func(_ []kernels.Array, y kernels.Array) {
			for i := range y.Data {
				y.Data[i] = value
			}
		},
		cpu: func(l kernels.Launch) func(*cpu.Pool) {
			return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, from, n int) {
				for r := from; r < from+n; r++ {
					to := l.Out.Row(r)
					for i := range to {
						to[i] = float32(value)
					}
				}
			})
		},
		cuda: func(l cuda.Launch) []cuda.Call {
			return cuda.Elements(module, "magnitude_fill", rowsPerThread, []cuda.Operand{l.Out}, float32(value))
		},
	}, len(shape), fmt.Sprintf("fill %v with %g", shape, value), like)
}

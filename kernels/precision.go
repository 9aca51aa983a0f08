package kernels

import (
	"slices"

	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// Weighted is a product of activations (input 0) with weights, the inputs listed. Where
// the activations are bf16, the weights are multiplied as bf16, too: CUDA kernels read a
// bf16 copy of the float32 parameters, CPU kernels read the parameters and round them
// when they repack them.
type Weighted interface{ Weights() []int }

// Single is a kernel some of whose operands of rank 4 stay float32 in a plan of bf16, such
// as gradients of weights and the loss: all its inputs, its output, or both.
type Single interface{ Float32() (in, out bool) }

// TypesOf returns the element types of a kernel's inputs and of its output in a
// plan of a precision. In float32 all are float32. In bf16, tensors of rank 4
// (activations and their gradients) are stored in bf16 and with them the
// weights they are multiplied with; everything else stays float32. An addend
// (Launch.Add) has the output's type, PerImage is float32.
func TypesOf(k Kernel, precision number.Type, in []tensor.Shape, out tensor.Shape) ([]number.Type, number.Type) {
	types := make([]number.Type, len(in)) // float32
	if precision != number.BFloat16 {
		return types, number.Float32
	}
	singleIn, singleOut := false, false
	if s, ok := k.(Single); ok {
		singleIn, singleOut = s.Float32()
	}
	byRank := func(s tensor.Shape, single bool) number.Type {
		if len(s) == 4 && !single {
			return number.BFloat16
		}
		return number.Float32
	}
	var weights []int
	if w, ok := k.(Weighted); ok {
		weights = w.Weights()
	}
	for i, s := range in {
		types[i] = byRank(s, singleIn)
		if slices.Contains(weights, i) {
			types[i] = types[0]
		}
	}
	return types, byRank(out, singleOut)
}

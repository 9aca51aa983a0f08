package kernels

import (
	"slices"

	"fluxion/kernels/number"
)

// Role is what a tensor is in a plan. It decides the type that it is stored in, and
// whether it is worth making again instead of keeping it.
type Role uint8

// Roles of tensors.
const (
	// Single is float32 in a plan of any precision: parameters and their gradients, the
	// embeddings of times and classes, sums, statistics, the loss.
	Single Role = iota
	// Activation is what a network makes of images, the images themselves, and its
	// gradient. There is one for each image, and most of the memory is theirs.
	Activation
)

// Weighted is a product of activations (input 0) with weights, the inputs listed. Where
// the activations are bf16, the weights are multiplied as bf16, too: CUDA kernels read a
// bf16 copy of the float32 parameters, CPU kernels read the parameters and round them
// when they repack them.
type Weighted interface{ Weights() []int }

// Reducer is a kernel whose result is no activation though its inputs are: the gradient
// of weights, sums over pixels or images, statistics, a loss.
type Reducer interface{ Reduces() }

// Exact is a kernel whose operands are float32 in a plan of any precision, activations
// among them: the loss.
type Exact interface{ Exact() }

// RoleOf returns the role of a kernel's result: whatever is made of an activation is
// one, unless the kernel is a Reducer.
func RoleOf(k Kernel, in []Role) Role {
	if _, reduces := k.(Reducer); reduces || !slices.Contains(in, Activation) {
		return Single
	}
	return Activation
}

// TypesOf returns the element types of a kernel's inputs, of these roles, and of its
// output in a plan of a precision. In float32 all are float32. In bf16, activations are
// stored in bf16 and with them the weights they are multiplied with; everything else
// stays float32. An addend (Launch.Add) has the output's type, PerImage is float32.
func TypesOf(k Kernel, precision number.Type, in []Role) ([]number.Type, number.Type) {
	types := make([]number.Type, len(in)) // float32
	if _, exact := k.(Exact); exact || precision != number.BFloat16 {
		return types, number.Float32
	}
	stored := map[Role]number.Type{Single: number.Float32, Activation: number.BFloat16}
	var weights []int
	if w, ok := k.(Weighted); ok {
		weights = w.Weights()
	}
	for i, role := range in {
		types[i] = stored[role]
		if slices.Contains(weights, i) {
			types[i] = types[0]
		}
	}
	return types, stored[RoleOf(k, in)]
}

// Package feed brings a few numbers of a step into a plan: the network times,
// the classes or the weights of the images of a batch.
package feed

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/row"

	"gorgonia.org/tensor"
)

// Vector is the kernel whose output, of any shape, are the values that Values
// holds when a step begins. The slice keeps its address and length.
type Vector struct {
	kernels.Signature
	Values []float32
}

// New returns the kernel for a tensor of this many values and its rank.
func New(values, rank int) *Vector {
	return &Vector{kernels.Signature{Name: fmt.Sprintf("feed %d", values), Rank: rank}, make([]float32, values)}
}

// Set gives all values the same.
func (v *Vector) Set(x float32) {
	for i := range v.Values {
		v.Values[i] = x
	}
}

// Cost of one launch.
func (v *Vector) Cost([]tensor.Shape, tensor.Shape) kernels.Cost {
	return kernels.Cost{Bytes: 8 * int64(len(v.Values))}
}

// CPU binds the copy.
func (v *Vector) CPU(l kernels.Launch) func(*cpu.Pool) {
	to := l.Out.Data[:len(v.Values)]
	return func(*cpu.Pool) { copy(to, v.Values) }
}

// ParameterBytes is the size of a step's row.
func (v *Vector) ParameterBytes() int { return row.Bytes[float32](len(v.Values)) }

// PutParameters writes a step's row.
func (v *Vector) PutParameters(to []byte) { row.Put(to, v.Values...) }

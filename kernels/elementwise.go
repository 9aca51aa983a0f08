package kernels

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Elementwise is an operation of which each number depends on those at its own place in
// the inputs, which all look like the output: part of a kernel.
type Elementwise struct{ Signature }

// NewElementwise is one of so many inputs, of these ranks, which are equal.
func NewElementwise(name string, ranks ...int) Elementwise {
	return Elementwise{Signature{Name: name, Ranks: ranks, Rank: ranks[0]}}
}

// InferShape is part of gorgonia.Op.
func (e Elementwise) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	x, err := Shapes(in)
	if err != nil {
		return nil, err
	}
	for _, y := range x[1:] {
		if !y.Eq(x[0]) {
			return nil, fmt.Errorf("%s of %v and %v: want equal shapes", e.Name, x[0], y)
		}
	}
	return x[0].Clone(), nil
}

// Cost takes the function of a number for one operation.
func (Elementwise) Cost(in []tensor.Shape, out tensor.Shape) Cost {
	return Cost{FLOPs: int64(out.TotalSize()), Bytes: Traffic(out, in...)}
}

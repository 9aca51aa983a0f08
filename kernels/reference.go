package kernels

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Array is a dense row-major float64 tensor, as references take and return it.
type Array struct {
	Shape tensor.Shape
	Data  []float64
}

// NewArray returns an array of zeros.
func NewArray(shape ...int) Array {
	s := tensor.Shape(shape).Clone()
	return Array{s, make([]float64, s.TotalSize())}
}

// Evaluate runs a reference on Gorgonia values of either float type. Every operator's Do
// calls it, so that Gorgonia's tape machine computes what the kernels are tested against.
func Evaluate(reference func(in []Array) Array, values []gorgonia.Value) (gorgonia.Value, error) {
	in := make([]Array, len(values))
	double := false
	for i, v := range values {
		in[i].Shape = v.Shape().Clone()
		switch d := v.Data().(type) {
		case []float64:
			in[i].Data, double = d, true
		case []float32:
			in[i].Data = make([]float64, len(d))
			for j, x := range d {
				in[i].Data[j] = float64(x)
			}
		case float64:
			in[i].Data, double = []float64{d}, true
		case float32:
			in[i].Data = []float64{float64(d)}
		default:
			return nil, fmt.Errorf("input %d holds %T, want float32 or float64", i, d)
		}
	}
	out := reference(in)
	if double {
		if out.Shape.IsScalar() {
			return gorgonia.NewF64(out.Data[0]), nil
		}
		return tensor.New(tensor.WithShape(out.Shape...), tensor.WithBacking(out.Data)), nil
	}
	if out.Shape.IsScalar() {
		return gorgonia.NewF32(float32(out.Data[0])), nil
	}
	single := make([]float32, len(out.Data))
	for i, x := range out.Data {
		single[i] = float32(x)
	}
	return tensor.New(tensor.WithShape(out.Shape...), tensor.WithBacking(single)), nil
}

// Package mish is x·tanh(ln(1 + eˣ)) (Misra, "Mish: A Self Regularized Non-Monotonic
// Activation Function", 2019), and its gradient.
package mish

import (
	"errors"
	"math"

	"fluxion/kernels"

	"gorgonia.org/gorgonia"
)

// Mish returns x·tanh(ln(1 + eˣ)).
func Mish(x *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(forward{signature("mish", x.Dims())}, x)
}

// gate is tanh(ln(1 + eˣ)), and rest what it lacks to 1: neither cancels.
func gate(x float64) (gate, rest float64) {
	u := math.Exp(-math.Abs(x))
	part, one := u*u+2*u, 2.
	if x >= 0 {
		part, one = 1+2*u, 2*u*u
	}
	return part / (part + one), one / (part + one)
}

func value(x float64) float64 {
	y, _ := gate(x)
	return x * y
}

// slope is the derivative of x·tanh(ln(1 + eˣ)).
func slope(x float64) float64 {
	y, rest := gate(x)
	return y + x*rest*(1+y)/(1+math.Exp(-x))
}

// operation is what both directions have in common.
type operation struct{ kernels.Elementwise }

func signature(name string, ranks ...int) operation {
	return operation{kernels.NewElementwise(name, ranks...)}
}

type forward struct{ operation }

func (forward) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		for i, x := range in[0].Data {
			y.Data[i] = value(x)
		}
		return y
	}, v)
}

func (forward) DiffWRT(int) []bool { return []bool{true} }

func (o forward) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	r := dy.Dims()
	return gorgonia.Nodes{kernels.Apply(gradient{signature("mish.dx", r, r)}, in[0], dy)}, nil
}

// gradient: inputs x, dy.
type gradient struct{ operation }

func (gradient) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		dx := kernels.NewArray(in[0].Shape...)
		for i, x := range in[0].Data {
			dx.Data[i] = in[1].Data[i] * slope(x)
		}
		return dx
	}, v)
}

func (gradient) DiffWRT(n int) []bool { return make([]bool, n) }

func (gradient) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, errors.New("the gradient of mish has no gradient")
}

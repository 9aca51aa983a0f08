// Package gelu is the Gaussian error linear unit of transformers, x·Φ(x) with the normal
// distribution's own Φ and not an approximation by tanh (Hendrycks and Gimpel, 2016), and
// its gradient Φ(x) + x·φ(x).
package gelu

import (
	"errors"
	"math"

	"fluxion/kernels"

	"gorgonia.org/gorgonia"
)

// GELU returns x·Φ(x).
func GELU(x *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(forward{signature("gelu", x.Dims())}, x)
}

// phi is the normal distribution Φ. By erfc it is small below 0 without cancelling.
func phi(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// slope is the derivative of x·Φ(x).
func slope(x float64) float64 { return phi(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi) }

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
			y.Data[i] = x * phi(x)
		}
		return y
	}, v)
}

func (forward) DiffWRT(int) []bool { return []bool{true} }

func (o forward) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	r := dy.Dims()
	return gorgonia.Nodes{kernels.Apply(gradient{signature("gelu.dx", r, r)}, in[0], dy)}, nil
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
	return nil, errors.New("the gradient of gelu has no gradient")
}

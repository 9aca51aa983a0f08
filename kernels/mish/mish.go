// Package mish is x·tanh(ln(1 + eˣ)) (Misra, "Mish: A Self Regularized Non-Monotonic
// Activation Function", 2019), and its gradient.
package mish

import (
	_ "embed"
	"math"

	"fluxion/kernels/activation"
	"fluxion/kernels/cuda"

	"gorgonia.org/gorgonia"
)

// Mish returns x·tanh(ln(1 + eˣ)).
func Mish(x *gorgonia.Node) *gorgonia.Node { return function.Of(x) }

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

//go:embed mish.ptx.zst
var ptx string

var function = activation.Function{Name: "mish", Value: value, Slope: slope, Module: cuda.Register("mish", ptx)}

// Package gelu is the Gaussian error linear unit of transformers, x·Φ(x) with the normal
// distribution's own Φ and not an approximation by tanh (Hendrycks and Gimpel, 2016), and
// its gradient Φ(x) + x·φ(x).
package gelu

import (
	_ "embed"
	"math"

	"fluxion/kernels/activation"
	"fluxion/kernels/cuda"

	"gorgonia.org/gorgonia"
)

// GELU returns x·Φ(x).
func GELU(x *gorgonia.Node) *gorgonia.Node { return function.Of(x) }

// phi is the normal distribution Φ. By erfc it is small below 0 without cancelling.
func phi(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func value(x float64) float64 { return x * phi(x) }

// slope is the derivative of x·Φ(x).
func slope(x float64) float64 { return phi(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi) }

//go:embed gelu.ptx.zst
var ptx string

var function = activation.Function{Name: "gelu", Value: value, Slope: slope, Module: cuda.Register("gelu", ptx)}

package magnitude

import (
	"errors"
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/pointwise"

	"gorgonia.org/gorgonia"
)

// Sum returns p·a + q·b, kept between −limit and limit; an infinite one keeps all.
func Sum(a, b *gorgonia.Node, p, q, limit float64) *gorgonia.Node {
	name := fmt.Sprintf("%g and %g within %g", p, q, limit)
	return kernels.Apply(sum{kernels.NewElementwise(name, a.Dims(), a.Dims()), float32(p), float32(q), float32(limit)}, a, b)
}

type sum struct {
	kernels.Elementwise
	p, q, limit float32
}

func (o sum) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		limit := float64(o.limit)
		for i, a := range in[0].Data {
			y.Data[i] = min(max(float64(o.p)*a+float64(o.q)*in[1].Data[i], -limit), limit)
		}
		return y
	}, v)
}

func (sum) DiffWRT(int) []bool { return []bool{true, true} }

func (o sum) SymDiff(_ gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	of := func(factor float32) *gorgonia.Node {
		if math.IsInf(float64(o.limit), 1) {
			return pointwise.Affine(dy, float64(factor), 0)
		}
		r := dy.Dims()
		return kernels.Apply(sumGrad{kernels.NewElementwise(fmt.Sprintf("%g within %g", factor, o.limit), r, r), factor, o.limit}, y, dy)
	}
	return gorgonia.Nodes{of(o.p), of(o.q)}, nil
}

// TakesBFloat16 says yes.
func (sum) TakesBFloat16() bool { return true }

func (o sum) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.Elements(l, func(a, b float32) float32 {
		return min(max(float32(o.p*a)+float32(o.q*b), -o.limit), o.limit)
	})
}

// sumGrad is factor·dy where a sum was kept; inputs the sum, dy.
type sumGrad struct {
	kernels.Elementwise
	factor, limit float32
}

// kept says whether a sum is what it would be without a limit.
func (o sumGrad) kept(y float32) bool { return y > -o.limit && y < o.limit }

func (o sumGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		dx := kernels.NewArray(in[0].Shape...)
		for i, y := range in[0].Data {
			if o.kept(float32(y)) {
				dx.Data[i] = float64(o.factor) * in[1].Data[i]
			}
		}
		return dx
	}, v)
}

func (sumGrad) DiffWRT(n int) []bool { return make([]bool, n) }

func (sumGrad) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, errors.New("the gradient of a sum within limits has no gradient")
}

// TakesBFloat16 says yes.
func (sumGrad) TakesBFloat16() bool { return true }

func (o sumGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.Elements(l, func(y, dy float32) float32 {
		if o.kept(y) {
			return o.factor * dy
		}
		return 0
	})
}

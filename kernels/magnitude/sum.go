package magnitude

import (
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/pointwise"

	"gorgonia.org/gorgonia"
)

// Sum returns p·a + q·b, kept between −limit and limit; an infinite one keeps all.
func Sum(a, b *gorgonia.Node, p, q, limit float64) *gorgonia.Node {
	of := func(a, b float64) float64 { return min(max(p*a+q*b, -limit), limit) }
	p32, q32, limit32 := float32(p), float32(q), float32(limit)
	f := pairwise(of, func(a, b float32) float32 { return min(max(float32(p32*a)+float32(q32*b), -limit32), limit32) }, "magnitude_sum", p32, q32, limit32)
	f.gradients = func(_ gorgonia.Nodes, y, dy *gorgonia.Node) gorgonia.Nodes {
		return gorgonia.Nodes{kept(y, dy, p, limit), kept(y, dy, q, limit)}
	}
	return apply(f, a.Dims(), fmt.Sprintf("%g and %g within %g", p, q, limit), a, b)
}

// kept is factor·dy where a sum y was kept.
func kept(y, dy *gorgonia.Node, factor, limit float64) *gorgonia.Node {
	if math.IsInf(limit, 1) {
		return pointwise.Affine(dy, factor, 0)
	}
	factor32, limit32 := float32(factor), float32(limit)
	f := pairwise(func(y, dy float64) float64 {
		if y > -limit && y < limit {
			return factor * dy
		}
		return 0
	}, func(y, dy float32) float32 {
		if y > -limit32 && y < limit32 {
			return factor32 * dy
		}
		return 0
	}, "magnitude_sum_grad", factor32, limit32)
	return apply(f, dy.Dims(), fmt.Sprintf("%g within %g", factor, limit), y, dy)
}

// pairwise makes each number of those at its own place in two inputs.
func pairwise(reference func(a, b float64) float64, of func(a, b float32) float32, function string, numbers ...any) functions {
	return functions{
		shape: alike, flops: 3, native: true,
		evaluate: func(in []kernels.Array, y kernels.Array) {
			for i := range y.Data {
				y.Data[i] = reference(in[0].Data[i], in[1].Data[i])
			}
		},
		cpu: func(l kernels.Launch) func(*cpu.Pool) { return kernels.Elements(l, of) },
		cuda: func(l cuda.Launch) []cuda.Call {
			return cuda.Elements(module, function, rowsPerThread, []cuda.Operand{l.Out, l.In[0], l.In[1]}, numbers...)
		},
	}
}

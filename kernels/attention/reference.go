package attention

import (
	"math"

	"fluxion/kernels"
)

// at returns the index of channel c of head h of part (0 q, 1 k, 2 v) at a pixel.
func (s size) at(n, pixel, part, h, c int) int {
	return ((n*s.pixels+pixel)*3+part)*s.inner() + h*s.dim + c
}

// probabilities of one query over all keys.
func (s size) probabilities(qkv []float64, n, h, i int) []float64 {
	p := make([]float64, s.pixels)
	top := math.Inf(-1)
	for j := range p {
		for c := range s.dim {
			p[j] += qkv[s.at(n, i, 0, h, c)] * qkv[s.at(n, j, 1, h, c)]
		}
		p[j] *= s.scale()
		top = max(top, p[j])
	}
	sum := 0.0
	for j := range p {
		p[j] = math.Exp(p[j] - top)
		sum += p[j]
	}
	for j := range p {
		p[j] /= sum
	}
	return p
}

func reference(qkv kernels.Array, heads int) kernels.Array {
	x := qkv.Shape
	s := newSize(x, heads)
	y := kernels.NewArray(x[0], x[1], x[2], s.inner())
	s.eachQuery(func(n, h, i int) {
		for j, p := range s.probabilities(qkv.Data, n, h, i) {
			for c := range s.dim {
				y.Data[(n*s.pixels+i)*s.inner()+h*s.dim+c] += p * qkv.Data[s.at(n, j, 2, h, c)]
			}
		}
	})
	return y
}

func (s size) eachQuery(visit func(n, h, i int)) {
	for n := range s.images {
		for h := range s.heads {
			for i := range s.pixels {
				visit(n, h, i)
			}
		}
	}
}

func referenceGrad(qkv, dy kernels.Array, heads int) kernels.Array {
	s := newSize(qkv.Shape, heads)
	g := kernels.NewArray(qkv.Shape...)
	s.eachQuery(func(n, h, i int) {
		p := s.probabilities(qkv.Data, n, h, i)
		dp := make([]float64, s.pixels)
		dot := 0.0
		for j := range dp {
			for c := range s.dim {
				dy := dy.Data[(n*s.pixels+i)*s.inner()+h*s.dim+c]
				dp[j] += dy * qkv.Data[s.at(n, j, 2, h, c)]
				g.Data[s.at(n, j, 2, h, c)] += p[j] * dy
			}
			dot += p[j] * dp[j]
		}
		for j := range dp {
			ds := p[j] * (dp[j] - dot) * s.scale()
			for c := range s.dim {
				g.Data[s.at(n, i, 0, h, c)] += ds * qkv.Data[s.at(n, j, 1, h, c)]
				g.Data[s.at(n, j, 1, h, c)] += ds * qkv.Data[s.at(n, i, 0, h, c)]
			}
		}
	})
	return g
}

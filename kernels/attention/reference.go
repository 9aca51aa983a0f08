package attention

import (
	"math"

	"fluxion/kernels"
)

// row is the channels of head h of part (0 q, 1 k, 2 v) at a pixel.
func (s size) row(qkv []float64, n, pixel, part, h int) []float64 {
	return qkv[((n*s.pixels+pixel)*3+part)*s.inner()+h*s.dim:][:s.dim]
}

// outRow is the channels of head h of the output at a pixel.
func (s size) outRow(y []float64, n, pixel, h int) []float64 {
	return y[(n*s.pixels+pixel)*s.inner()+h*s.dim:][:s.dim]
}

// probabilities of one query over all keys.
func (s size) probabilities(qkv []float64, n, h, i int) []float64 {
	p := make([]float64, s.pixels)
	top := math.Inf(-1)
	q := s.row(qkv, n, i, 0, h)
	for j := range p {
		for c, k := range s.row(qkv, n, j, 1, h) {
			p[j] += q[c] * k
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
		to := s.outRow(y.Data, n, i, h)
		for j, p := range s.probabilities(qkv.Data, n, h, i) {
			for c, v := range s.row(qkv.Data, n, j, 2, h) {
				to[c] += p * v
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
		dy := s.outRow(dy.Data, n, i, h)
		for j := range dp {
			v, dv := s.row(qkv.Data, n, j, 2, h), s.row(g.Data, n, j, 2, h)
			for c, e := range dy {
				dp[j] += e * v[c]
				dv[c] += p[j] * e
			}
			dot += p[j] * dp[j]
		}
		q, dq := s.row(qkv.Data, n, i, 0, h), s.row(g.Data, n, i, 0, h)
		for j := range dp {
			ds := p[j] * (dp[j] - dot) * s.scale()
			k, dk := s.row(qkv.Data, n, j, 1, h), s.row(g.Data, n, j, 1, h)
			for c := range dq {
				dq[c] += ds * k[c]
				dk[c] += ds * q[c]
			}
		}
	})
	return g
}

package sampler

import (
	"slices"

	"fluxion/engine/process"
)

// unipc is Zhao et al., "UniPC" (2023): a predictor of Adams-Bashforth's kind and
// a corrector of Adams-Moulton's, which takes the call at the predicted state to
// correct it and costs none of its own. Solved in full, their weights are those
// of the interpolation polynomial, whatever B(h); the first two orders are not
// solved but halve B(h): h·E' at the end for bh1, the span of E for bh2.
func unipc(b *builder, i int, t, s process.Point) {
	b.hold = true
	v := b.variable
	if i > 0 && slices.Contains(b.options.Uncorrected, i-1) {
		b.base = Sum{Z: 1}
	} else if i > 0 {
		before := b.grid.Points[i-1]
		n := len(b.nodes(i-1, b.order(i-1)))
		if n > 0 && b.regular(before, t) && finite(before, t) && half(t) != half(before) {
			b.correct(i, n, before, t)
		} else {
			b.base = Sum{Z: 1}
		}
	}
	l, err := v.in(t).To(s.Alpha, s.Sigma)
	if err != nil {
		b.row(t, Sum{X: s.Alpha, Eps: s.Sigma}, 0)
		return
	}
	nodes := b.nodes(i, b.order(i))
	to := Sum{Z: l.Z, H: []Term{b.kept(l.Y)}}
	if len(nodes) > 1 && b.regular(t, s) && finite(t, s) {
		var weights []float64
		if len(nodes) == 2 {
			slope := b.bh(t, s) / 2 * (half(s) - nodes[0]) / (nodes[0] - nodes[1])
			weights = []float64{l.Y + slope, -slope}
		} else {
			weights = v.weights(nodes, t, s, 0)
		}
		to.H = nil
		for k, w := range weights {
			to.H = append(to.H, Term{len(b.rows) - k, w})
		}
	}
	b.row(t, to, 0)
}

// correct makes the state at t, the start of the step before having been at
// before, with this call's y as well as those of the n calls that predicted it.
func (b *builder) correct(i, n int, before, t process.Point) {
	v, call := b.variable, len(b.rows)
	to := Sum{Z: v.ratio(before, t, 0)}
	if n == 1 {
		whole, part := v.span(before, t, 0), b.bh(before, t)/2
		to.H = []Term{{call, part}, {call - 1, whole - part}}
	} else {
		nodes := append([]float64{half(t)}, b.nodes(i-1, n)...)
		for k, w := range v.weights(nodes, before, t, 0) {
			to.H = append(to.H, Term{call - k, w})
		}
	}
	b.restart(to)
}

// bh is N_s B(h).
func (b *builder) bh(t, s process.Point) float64 {
	v := b.variable
	if b.options.Solver == "bh1" {
		return v.norm(s) * (half(s) - half(t)) * v.rate(half(s))
	}
	return v.span(t, s, 0)
}

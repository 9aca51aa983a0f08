package sampler

import (
	"math"

	"fluxion/engine/process"
)

// order is that of a multistep method in interval i: what it has seen, and at
// the end of the grid what the options say.
func (b *builder) order(i int) int {
	n := min(b.options.Order, i+1)
	if b.options.LowerOrderFinal {
		n = min(n, b.left(i))
	}
	if b.options.FirstOrderFinal && b.left(i) == 1 {
		n = 1
	}
	return n
}

// share is η² of the reverse SDE, 0 for deterministic samplers.
func (b *builder) share() float64 {
	if b.options.Eta == nil {
		return 0
	}
	return *b.options.Eta * *b.options.Eta
}

// first is a step of first order: y is constant. Without noise it is DDIM,
// whatever the variable. To or from an end at which the variable has no finite
// E, it goes by x̂ and ε̂.
func (b *builder) first(t, s process.Point) {
	v, share := b.variable, b.share()
	if share != 0 {
		if v.regular(t, s) && s.Sigma != 0 {
			b.row(t, Sum{Z: v.ratio(t, s, share), H: []Term{b.kept(v.span(t, s, share))}}, v.noise(t, s, share))
		} else {
			b.renoise(t, s, math.Pow(decay(t, s), share))
		}
		return
	}
	l, err := v.in(t).To(s.Alpha, s.Sigma)
	if err != nil {
		b.row(t, Sum{X: s.Alpha, Eps: s.Sigma}, 0)
		return
	}
	b.row(t, Sum{Z: l.Z, H: []Term{b.kept(l.Y)}}, 0)
}

// nodes are ℓ of this interval's call and the ones before, at most n: distinct,
// finite, one call for an entry of the grid.
func (b *builder) nodes(i, n int) []float64 {
	var nodes []float64
	for k := 0; k < n && i-k >= 0; k++ {
		l := half(b.grid.Points[i-k])
		if math.IsInf(l, 0) || (k > 0 && l == nodes[k-1]) {
			break
		}
		nodes = append(nodes, l)
	}
	return nodes
}

// combine goes from t to s with these weights of this call's y and the ones before.
func (b *builder) combine(t, s process.Point, weights []float64) {
	v, share := b.variable, b.share()
	to := Sum{Z: v.ratio(t, s, share)}
	for k, w := range weights {
		to.H = append(to.H, Term{len(b.rows) - k, w})
	}
	b.row(t, to, v.noise(t, s, share))
}

// adams interpolates y in ℓ = ln(α/σ) through this call and the ones before and
// integrates exactly, with or without noise: Adams-Bashforth for the
// exponential integrator. In x it is DPM-Solver++ (Lu et al., 2022) with the
// heun solver and of third order, in ε DEIS (Zhang and Chen, 2023) in log ρ. With
// the midpoint solver, DPM-Solver++(2M)'s own (algorithm 2), a step of second
// order does not: the slope from the call before counts half of the step's span.
//
// diffusers halves the second difference of its third order, which makes it
// second: with Compat so do we.
func adams(b *builder, i int, t, s process.Point) {
	v := b.variable
	nodes := b.nodes(i, b.order(i))
	if len(nodes) < 2 || !b.regular(t, s) || !finite(t, s) {
		b.first(t, s)
		return
	}
	share := b.share()
	if len(nodes) == 2 && b.options.Solver == "midpoint" {
		span := v.span(t, s, share)
		slope := span / 2 * (half(s) - nodes[0]) / (nodes[0] - nodes[1])
		b.combine(t, s, []float64{span + slope, -slope})
		return
	}
	weights := v.weights(nodes, t, s, share)
	if len(nodes) == 3 && b.options.Compat {
		h, h0, h1 := half(s)-nodes[0], nodes[0]-nodes[1], nodes[1]-nodes[2]
		square := v.integral(t, s, share, func(l float64) float64 { return (l - nodes[0]) * (l - nodes[0]) / (h * h) })
		d := square / 2
		if share != 0 { // there, its sign is wrong as well
			d = square/2 + s.Alpha
		}
		// D₂ = (D₁₀ − D₁₁)/(r₀+r₁) with D₁₀ = (m₀−m₁)h/h₀, D₁₁ = (m₁−m₂)h/h₁
		d *= h * h / (h0 + h1)
		weights[0] -= d / h0
		weights[1] += d/h0 + d/h1
		weights[2] -= d / h1
	}
	b.combine(t, s, weights)
}

// lms interpolates y in E itself, in ε that is σ/α: Katherine Crowson's linear
// multistep method, order 4.
func lms(b *builder, i int, t, s process.Point) {
	v := b.variable
	var nodes []float64
	for k := 0; k < b.order(i); k++ {
		q := b.grid.Points[i-k]
		e := v.level(half(q))
		if v.norm(q) == 0 || math.IsInf(e, 0) || (k > 0 && e == nodes[k-1]) {
			break
		}
		nodes = append(nodes, e)
	}
	if len(nodes) < 2 || !b.regular(t, s) {
		b.first(t, s)
		return
	}
	from, to := v.level(half(t)), v.level(half(s))
	weights := make([]float64, len(nodes))
	for k := range nodes {
		weights[k] = v.norm(s) * polynomial(from, to, func(e float64) float64 { return lagrange(nodes, k, e) })
	}
	b.combine(t, s, weights)
}

// bashforth are Adams' coefficients for equal steps, by order.
var bashforth = [][]float64{
	{1}, {3. / 2, -1. / 2}, {23. / 12, -16. / 12, 5. / 12}, {55. / 24, -59. / 24, 37. / 24, -9. / 24},
}

// ipndm puts the combination of Adams-Bashforth for equal steps into a DDIM
// step: Zhang and Chen's improved PNDM (2023), which begins with lower orders.
func ipndm(b *builder, i int, t, s process.Point) {
	b.plms(t, s, b.order(i), func(k int) int { return len(b.rows) - k })
}

// plms is a DDIM step with the combination of order n of the calls that are
// numbered by call(k), k steps back.
func (b *builder) plms(t, s process.Point, n int, call func(k int) int) {
	l, err := b.variable.in(t).To(s.Alpha, s.Sigma)
	if err != nil || n == 1 {
		b.first(t, s)
		return
	}
	to := Sum{Z: l.Z}
	for k, c := range bashforth[n-1] {
		to.H = append(to.H, Term{call(k), l.Y * c})
	}
	b.row(t, to, 0)
}

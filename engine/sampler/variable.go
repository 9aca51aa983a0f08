package sampler

import (
	"math"

	"fluxion/engine/process"

	"gonum.org/v1/gonum/integrate/quad"
)

// variable is what a method of higher order interpolates: y with which the
// probability-flow ODE is d(z/N) = y dE, exactly (MATHEMATICS.md, section 4). With ℓ = λ/2,
//
//	x: N = σ, E = α/σ = e^ℓ        ε: N = α, E = σ/α = e^−ℓ
//	u: N = α+σ, E = σ/(α+σ)        v: N = √(α²+σ²), E = atan σ/α
//
// The reverse SDE with a share η of noise (MATHEMATICS.md, section 5) is d(z/N) = y dE + noise
// as well: its additional drift, η² ε̂ α d(σ/α), is a multiple of z, which N
// takes in as m^η², and of y, which multiplies dE by 1+η². With ρ = σ/α,
//
//	m: x ρ, ε 1, u 1+ρ, v √(1+ρ²)
type variable struct {
	name string
	row  func(q process.Point) (a, b float64)
	norm func(q process.Point) float64
	// rate is dE/dℓ, level is E itself, inverse ℓ of E.
	rate, level, inverse func(l float64) float64
	// damp is ln m. left is ∫ 2ρ (α/N)² m^(−2η²) dρ from 0 or to ∞, whichever exists.
	damp func(l float64) float64
	left func(l, share float64) float64
}

var variables = map[string]*variable{
	"x": {
		row:  func(process.Point) (float64, float64) { return 1, 0 },
		norm: func(q process.Point) float64 { return q.Sigma },
		rate: math.Exp, level: math.Exp, inverse: math.Log,
		damp: func(l float64) float64 { return -l },
		left: func(l, share float64) float64 { return -math.Exp(2*share*l) / share },
	},
	"eps": {
		row:     func(process.Point) (float64, float64) { return 0, 1 },
		norm:    func(q process.Point) float64 { return q.Alpha },
		rate:    func(l float64) float64 { return -math.Exp(-l) },
		level:   func(l float64) float64 { return math.Exp(-l) },
		inverse: func(e float64) float64 { return -math.Log(e) },
		damp:    func(float64) float64 { return 0 },
		left:    func(l, _ float64) float64 { return math.Exp(-2 * l) },
	},
	"u": {
		row:     func(process.Point) (float64, float64) { return -1, 1 },
		norm:    func(q process.Point) float64 { return q.Alpha + q.Sigma },
		rate:    func(l float64) float64 { return -1 / ((1 + math.Exp(l)) * (1 + math.Exp(-l))) },
		level:   func(l float64) float64 { return 1 / (1 + math.Exp(l)) },
		inverse: func(e float64) float64 { return math.Log1p(-e) - math.Log(e) },
		damp:    softplus,
		left: func(l, share float64) float64 {
			d := math.Exp(-2 * share * softplus(l)) // (1+ρ)^(−2η²)
			return d * (2/((1+2*share)*(1+math.Exp(-l))) - 1/share)
		},
	},
	"v": {
		row: func(q process.Point) (float64, float64) {
			n := math.Hypot(q.Alpha, q.Sigma)
			return -q.Sigma / n, q.Alpha / n
		},
		norm:    func(q process.Point) float64 { return math.Hypot(q.Alpha, q.Sigma) },
		rate:    func(l float64) float64 { return -1 / (math.Exp(l) + math.Exp(-l)) },
		level:   func(l float64) float64 { return math.Atan(math.Exp(-l)) },
		inverse: func(e float64) float64 { return -math.Log(math.Tan(e)) },
		damp:    func(l float64) float64 { return softplus(2*l) / 2 },
		left:    func(l, share float64) float64 { return -math.Exp(-share*softplus(2*l)) / share },
	},
}

func init() {
	for name, v := range variables {
		v.name = name
	}
}

// softplus is ln(1 + e^−l) = ln(1+ρ).
func softplus(l float64) float64 {
	if l < 0 {
		return -l + math.Log1p(math.Exp(l))
	}
	return math.Log1p(math.Exp(-l))
}

// in returns a point at which the network's output is the variable. Of a third noise it
// knows nothing: on a bridge the variable is the flow's velocity, which has it.
func (v *variable) in(q process.Point) process.Point {
	q.A, q.B = v.row(q)
	q.Gamma, q.C, q.Flows = 0, 0, false
	return q
}

// of returns the variable from z and the network's output.
func (v *variable) of(q process.Point) (process.Linear, error) {
	a, b := v.row(q)
	if q.Flows {
		return q.Flow(a, b)
	}
	return q.To(a, b)
}

// half is ℓ = λ/2.
func half(q process.Point) float64 { return q.LogSNR / 2 }

// regular tells whether a step between two points can be written in the
// variable: N is not 0 and E finite at both.
func (v *variable) regular(t, s process.Point) bool {
	ok := func(q process.Point) bool { return v.norm(q) != 0 && !math.IsInf(v.level(half(q)), 0) }
	return ok(t) && ok(s)
}

// finite tells whether both points have a finite λ.
func finite(points ...process.Point) bool {
	for _, q := range points {
		if math.IsInf(q.LogSNR, 0) {
			return false
		}
	}
	return true
}

// ratio is N_s/N_t, with a share η² of noise.
func (v *variable) ratio(t, s process.Point, share float64) float64 {
	r := v.norm(s) / v.norm(t)
	if share != 0 {
		r *= math.Exp(share * (v.damp(half(s)) - v.damp(half(t))))
	}
	return r
}

// span is N_s (E_s − E_t): the weight of a constant y over the step.
func (v *variable) span(t, s process.Point, share float64) float64 {
	if share == 0 {
		return v.norm(s) * (v.level(half(s)) - v.level(half(t)))
	}
	if v.name == "x" { // also to σ = 0: α_s (1 − e^(−(1+η²)h))
		return -s.Alpha * math.Expm1((1+share)*(half(t)-half(s)))
	}
	return v.weights([]float64{half(t)}, t, s, share)[0]
}

// noise is the deviation of what the step's noise adds: C.
func (v *variable) noise(t, s process.Point, share float64) float64 {
	if share == 0 || s.Sigma == 0 {
		return 0
	}
	if v.name == "x" { // without cancellation: σ_s √(1 − e^(−2η²h))
		return s.Sigma * math.Sqrt(-math.Expm1(2*share*(half(t)-half(s))))
	}
	n := v.norm(s) * math.Exp(share*v.damp(half(s)))
	return n * math.Sqrt(math.Max(0, share*(v.left(half(t), share)-v.left(half(s), share))))
}

// weights of y at the given ℓ for the integral of their interpolation polynomial
// in ℓ, N_s ∫ Lₖ dE from t to s, by Gauss-Legendre quadrature.
func (v *variable) weights(nodes []float64, t, s process.Point, share float64) []float64 {
	w := make([]float64, len(nodes))
	for k := range nodes {
		w[k] = v.integral(t, s, share, func(l float64) float64 { return lagrange(nodes, k, l) })
	}
	return w
}

// integral is N_s ∫ p(ℓ) dE from t to s.
func (v *variable) integral(t, s process.Point, share float64, p func(l float64) float64) float64 {
	const nodes = 48
	from, to := half(t), half(s)
	if from == to {
		return 0
	}
	low, high, sign := from, to, 1.0
	if low > high {
		low, high, sign = to, from, -1
	}
	// N_s goes inside, so that e^ℓ does not overflow on the way.
	return sign * v.norm(s) * quad.Fixed(func(l float64) float64 {
		f := p(l) * v.rate(l)
		if share != 0 {
			f *= (1 + share) * math.Exp(share*(v.damp(to)-v.damp(l)))
		}
		return f
	}, low, high, nodes, quad.Legendre{}, 0)
}

// lagrange is the polynomial that is 1 at node k and 0 at the others.
func lagrange(nodes []float64, k int, x float64) float64 {
	p := 1.0
	for j, n := range nodes {
		if j != k {
			p *= (x - n) / (nodes[k] - n)
		}
	}
	return p
}

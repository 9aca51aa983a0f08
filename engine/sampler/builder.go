package sampler

import (
	"math"
	"slices"

	"fluxion/engine/process"
)

// Sum is the state after an update as a sampler writes it down: a combination
// of the state at the start of the step, of x̂ and ε̂ of the current call, and of
// what was kept of calls.
type Sum struct {
	Z, X, Eps float64
	H         []Term
}

// Term is a coefficient of what was kept of a call, by its number.
type Term struct {
	Call int
	C    float64
}

// builder turns what a sampler writes down into rows. A step may make several
// calls: each row then starts from the state the one before it left, of which
// the state at the start of the step is a combination again.
type builder struct {
	grid     Grid
	options  Options
	variable *variable // that is kept
	interval int       // of the grid
	rows     []Row
	calls    []int // the first row of each interval so far
	sums     []Sum // what each row does, before rows refer to each other by distance
	base     Sum   // the state at the start of the step, from the present one and what was kept
	hold     bool  // the next interval goes on from the same start of the step
	before   Lift  // of the next row
	err      error
}

// kept returns c times what is kept of the call that the next row makes.
func (b *builder) kept(c float64) Term { return Term{len(b.rows), c} }

// row calls the network at q and goes to a state. noise is the coefficient of
// fresh noise.
func (b *builder) row(q process.Point, to Sum, noise float64) {
	if b.err != nil {
		return
	}
	from := b.sub(to)
	r := Row{Call: q, Position: b.position(q), Before: b.before, C: noise, Arrives: true}
	b.before = Lift{}
	call := len(b.rows)
	if to.X != 0 || to.Eps != 0 {
		both, err := needed(q, to)
		if err != nil {
			b.err = err
			return
		}
		r.A, r.B = both.Z, []float64{both.Y}
	} else {
		r.B = []float64{0}
	}
	r.A += from.Z
	if x, err := q.X(); err == nil {
		r.X = x
	}
	keep := process.Linear{Y: 1}
	if b.variable != nil {
		k, err := b.variable.of(q)
		if err != nil && slices.ContainsFunc(from.H, func(t Term) bool { return t.Call == call }) {
			b.err = err
			return
		}
		if keep = k; k.Z != 0 || k.Y != 1 {
			r.Keep = k
		}
	}
	var rest []Term
	for _, t := range from.H {
		if t.Call == call {
			r.A += t.C * keep.Z
			r.B[0] += t.C * keep.Y
		} else {
			rest = append(rest, t)
		}
	}
	b.rows = append(b.rows, r)
	b.sums = append(b.sums, Sum{H: rest})
	// The start of the step, seen from the new state: z' = Z z₀ + ΣH, which
	// later rows of the step turn round. The noise of this row stays in it: a
	// stochastic step goes on along the same path of noise.
	if to.Z != 0 {
		b.base = Sum{Z: 1 / to.Z}
		for _, t := range to.H {
			b.base.H = append(b.base.H, Term{t.Call, -t.C / to.Z})
		}
	} else {
		b.base = Sum{Z: math.NaN()}
	}
}

// noiseEnd is σ/α from which on a point is the noise end of its schedule, e⁶: a
// finite one (squaredcos ends at 20 300), or where a run starts whose output
// cannot start at t = 1 (665).
var noiseEnd = math.Exp(6)

// regular tells whether the step from t to s can be of higher order, in the
// variable, from other calls than the one at t. It can not from where α or E has
// no finite value, nor in one leap from the noise end by a method in ε; such a
// step is DDIM's.
//
// Where ρ = σ/α is large, ε̂ goes as 1/√(1+v/ρ²) for data of variance v. Over a
// step with r = ρ_s/ρ_t DDIM, which holds ε̂, errs by (1−r)² v/2ρ_s, and the
// trapezoid rule in ρ by −(1−r)³/2r of that: more than DDIM from r = 1/3 down,
// and without bound. What a network errs by in a call from elsewhere grows by
// 1/r as well, at each stage. The other variables' weights are bounded.
func (b *builder) regular(t, s process.Point) bool {
	if b.options.Literal || b.variable.name != "eps" || !(t.Sigma > noiseEnd*t.Alpha) {
		return b.variable.regular(t, s)
	}
	return b.variable.regular(t, s) && 3*s.Sigma*t.Alpha > t.Sigma*s.Alpha
}

// between marks the row before as one that ends between entries of the grid.
func (b *builder) between() {
	if b.err == nil {
		b.rows[len(b.rows)-1].Arrives = false
	}
}

// restart makes a combination of the start of the step the new start: of a
// corrector, say.
func (b *builder) restart(as Sum) { b.base = b.sub(as) }

// sub writes a combination of the start of the step as one of the present state.
func (b *builder) sub(to Sum) Sum {
	from := Sum{Z: to.Z * b.base.Z, X: to.X, Eps: to.Eps, H: slices.Clone(to.H)}
	if to.Z == 0 {
		from.Z = 0
		return from
	}
	for _, t := range b.base.H {
		from.H = append(from.H, Term{t.Call, to.Z * t.C})
	}
	return from
}

// needed converts what a combination asks for, and no more.
func needed(q process.Point, to Sum) (both process.Linear, err error) {
	if q.Flows { // of which it must be a multiple
		return q.Flow(to.X, to.Eps)
	}
	var x, eps process.Linear
	if to.X != 0 {
		x, err = q.X()
	}
	if to.Eps != 0 && err == nil {
		eps, err = q.Eps()
	}
	return x.Plus(to.X, eps, to.Eps), err
}

// resolve writes the coefficients of what was kept by distance.
func (b *builder) resolve() {
	for i := range b.rows {
		for _, t := range b.sums[i].H {
			lag := i - t.Call
			for len(b.rows[i].B) <= lag {
				b.rows[i].B = append(b.rows[i].B, 0)
			}
			b.rows[i].B[lag] += t.C
		}
		for n := len(b.rows[i].B); n > 1 && b.rows[i].B[n-1] == 0; n-- {
			b.rows[i].B = b.rows[i].B[:n-1]
		}
	}
}

// position is a point's place in the grid, in time between entries.
func (b *builder) position(q process.Point) float64 {
	t, s := b.grid.Points[b.interval], b.grid.Points[b.interval+1]
	switch q {
	case t:
		return float64(b.interval)
	case s:
		return float64(b.interval + 1)
	}
	u := (t.Time - q.Time) / (t.Time - s.Time)
	if !(u > 0) { // noisier than the entry, for churn
		u = 0
	}
	return float64(b.interval) + math.Min(u, 1)
}

// at returns the process at ℓ = λ/2, for calls between entries of the grid.
func (b *builder) at(l float64) process.Point { return b.grid.Process.AtLogSNR(2 * l) }

// left is the number of steps from interval i to the end of the grid.
func (b *builder) left(i int) int { return len(b.grid.Points) - 1 - i }

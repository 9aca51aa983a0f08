package process

import (
	"fmt"
	"math"
)

// Linear is a combination Z z + Y y of a state and the network's output there.
type Linear struct{ Z, Y float64 }

// Plus returns a l + b m.
func (l Linear) Plus(a float64, m Linear, b float64) Linear {
	return Linear{a*l.Z + b*m.Z, a*l.Y + b*m.Y}
}

// singular is the determinant, relative to its two terms, below which z and y
// are taken to say the same; float64 would still do at |λ| = 40.
const singular = 1e-9

// To returns a x + b ε as a combination of z and y, by solving
// (α σ; a b)(x ε)ᵀ = (z y)ᵀ (MATHEMATICS.md, section 2). Where z and y say the same, as z and x
// at t = 0, it returns what either gives exactly, and otherwise an error.
func (q Point) To(a, b float64) (Linear, error) {
	if q.Gamma != 0 || q.C != 0 || q.Flows {
		return q.toThird(a, b)
	}
	if math.IsInf(q.B, 0) {
		// The score at σ = 0: σ∇log p = −ε vanishes with σ, and z = αx.
		if q.Sigma == 0 && q.Alpha != 0 {
			return Linear{Z: a / q.Alpha}, nil
		}
		return Linear{}, q.undetermined(a, b)
	}
	state, output := math.Hypot(q.Alpha, q.Sigma), math.Hypot(q.A, q.B)
	wanted := math.Hypot(a, b)
	parallel := func(det, scale float64) bool { return math.Abs(det) <= singular*scale }
	det := q.Alpha*q.B - q.A*q.Sigma
	if !parallel(det, state*output) {
		return Linear{(a*q.B - b*q.A) / det, (q.Alpha*b - q.Sigma*a) / det}, nil
	}
	switch {
	case output > 0 && parallel(a*q.B-b*q.A, wanted*output):
		return Linear{Y: (a*q.A + b*q.B) / (output * output)}, nil
	case state > 0 && parallel(a*q.Sigma-b*q.Alpha, wanted*state):
		return Linear{Z: (a*q.Alpha + b*q.Sigma) / (state * state)}, nil
	}
	return Linear{}, q.undetermined(a, b)
}

// Undetermined is the error of a conversion to A x + B ε for which z and y say too little.
type Undetermined struct {
	Point Point
	A, B  float64
}

func (u Undetermined) Error() string {
	q := u.Point
	if math.IsInf(q.C, 0) {
		return fmt.Sprintf("at t = %g the third noise of a bridge changes without bound, and the output there does not determine %.3gx + %.3gε; of an output that is the flow's velocity want sampler euler, ode-euler, midpoint, heun or rk45",
			q.Time, u.A, u.B)
	}
	if q.Gamma != 0 || q.Flows {
		return fmt.Sprintf("at t = %g there is a third noise, %.3gξ, and y = %.3gx + %.3gε + %.3gξ does not determine %.3gx + %.3gε; of an output that is the flow's velocity want sampler euler, ode-euler, midpoint, heun or rk45, and of x sampler bridge",
			q.Time, q.Gamma, q.A, q.B, q.C, u.A, u.B)
	}
	return fmt.Sprintf("at t = %g, z = %.3gx + %.3gε and y = %.3gx + %.3gε do not determine %.3gx + %.3gε; want another output or a point between the ends",
		q.Time, q.Alpha, q.Sigma, q.A, q.B, u.A, u.B)
}

func (q Point) undetermined(a, b float64) error { return Undetermined{q, a, b} }

// X returns x̂ from z and y.
func (q Point) X() (Linear, error) { return q.To(1, 0) }

// Eps returns ε̂ from z and y.
func (q Point) Eps() (Linear, error) { return q.To(0, 1) }

// Convert returns x̂ and ε̂; it is an error where y does not determine both, as ε
// at t = 1, where z says nothing of x.
func (q Point) Convert() (x, eps Linear, err error) {
	if x, err = q.X(); err == nil {
		eps, err = q.Eps()
	}
	return x, eps, err
}

// ErrorFactor is by how much an error of y, measured against y's own deviation
// from data and noise of deviation 1, is larger in x̂; +Inf where y says nothing of
// x, as ε at t = 1.
func (q Point) ErrorFactor() float64 {
	x, err := q.X()
	if err != nil {
		return math.Inf(1)
	}
	return math.Abs(x.Y) * math.Hypot(q.A, q.B)
}

// limitFrom is the error factor from which x̂ is kept in the range of data. DDPM's
// own schedule, whose authors clip x̂, begins at 157; variance exploding up to
// σ = 80, where nobody does, at 80; outputs other than ε stay near 1.
const limitFrom = 100

// Limits reports whether a run that begins here should keep x̂ in the range of data
// in every call. The mean of what data may lie behind z is always within it; so a
// good network loses nothing, and one whose errors begin this large is lost without.
func (q Point) Limits() bool { return q.ErrorFactor() >= limitFrom }

// Inferred returns y from x and ε, as a network that knows them would.
func (q Point) Inferred(x, eps float64) float64 {
	if q.A == 0 { // ε may be infinite beside data without noise
		return q.B * eps
	}
	if q.B == 0 {
		return q.A * x
	}
	return q.A*x + q.B*eps
}

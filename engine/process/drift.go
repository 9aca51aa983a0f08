package process

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/integrate/quad"
)

// Drift returns f and g of the forward process as an SDE, dz = f z dt + g dw
// (MATHEMATICS.md, section 1): f = ∂ₜ ln α, g² = 2ασ ∂ₜ(σ/α). They are infinite where α is 0.
func Drift(s Schedule, t float64) (f, g float64) {
	alpha, sigma := s.AlphaSigma(t)
	dAlpha, dSigma := s.Velocity(t)
	f = dAlpha / alpha
	return f, math.Sqrt(math.Max(0, 2*sigma*(dSigma-sigma*f)))
}

// Epsilon is the noise of the reverse SDE in interpolant form,
// dz = (u − ½ε² ∇log p) dt + ε dw, that has η in diffusion form; Eta goes back.
func Epsilon(s Schedule, t, eta float64) float64 {
	_, g := Drift(s, t)
	return eta * g
}

// Eta inverts Epsilon: η = ε/g.
func Eta(s Schedule, t, epsilon float64) float64 {
	_, g := Drift(s, t)
	return epsilon / g
}

// NewFromDrift returns the schedule of a forward SDE, α = exp ∫f and
// σ = α (∫ g² exp(−2∫f))^{1/2}, integrated numerically to about 1e-11. f and g
// are finite on [0, 1).
func NewFromDrift(name string, f, g func(t float64) float64) (Schedule, error) {
	const nodes, panels = 20, 24
	gauss := func(h func(float64) float64, from, to float64) float64 {
		return quad.Fixed(h, from, to, nodes, quad.Legendre{}, 0)
	}
	return NewCustom(name, func(t float64) (alpha, sigma float64) {
		var log, variance, from float64 // of [0, from]
		for i := range panels {
			// Panels become short towards both ends, where f and g² may grow.
			u := float64(i+1) / panels
			to := t * u * u * (3 - 2*u)
			variance += gauss(func(s float64) float64 {
				return g(s) * g(s) * math.Exp(-2*(log+gauss(f, from, s)))
			}, from, to)
			log += gauss(f, from, to)
			from = to
		}
		return math.Exp(log), math.Exp(log) * math.Sqrt(math.Max(0, variance))
	})
}

// custom is any smooth (α, σ) with λ decreasing.
type custom struct {
	continuous
	name string
	at   func(t float64) (alpha, sigma float64)
}

// NewCustom returns a schedule of the given α and σ, which are smooth on [0, 1],
// with λ decreasing. Rates are differences; times are found by bisection.
func NewCustom(name string, at func(t float64) (alpha, sigma float64)) (Schedule, error) {
	s := custom{name: name, at: at}
	last := math.Inf(1)
	const samples = 64
	for i := range samples - 1 {
		t := float64(i+1) / samples
		if l := s.LogSNR(t); !(l < last) {
			return nil, fmt.Errorf("schedule %s: λ is %g at t = %g and does not decrease there", name, l, t)
		}
		last = s.LogSNR(t)
	}
	return s, nil
}

func (s custom) Name() string                             { return s.name }
func (s custom) AlphaSigma(t float64) (alpha, s2 float64) { return s.at(t) }

func (s custom) Velocity(t float64) (dAlpha, dSigma float64) {
	dAlpha = derivative(func(t float64) float64 { a, _ := s.at(t); return a }, t)
	dSigma = derivative(func(t float64) float64 { _, b := s.at(t); return b }, t)
	return dAlpha, dSigma
}

func (s custom) LogSNR(t float64) float64 {
	alpha, sigma := s.at(t)
	return 2 * (math.Log(alpha) - math.Log(sigma))
}

func (s custom) TimeOf(lambda float64) float64 {
	low, high := 0.0, 1.0
	for range 80 {
		if mid := low + (high-low)/2; s.LogSNR(mid) > lambda {
			low = mid
		} else {
			high = mid
		}
	}
	if low == 0 {
		return 0
	}
	return high
}

func (s custom) Path() Path {
	return Path{
		Name: s.name, Natural: "u",
		At: func(l float64) (float64, float64) { return s.at(s.TimeOf(l)) },
		Tangent: func(alpha, sigma float64) (float64, float64) {
			t := s.TimeOf(2 * math.Log(alpha/sigma))
			a, b := s.Velocity(t)
			rate := LogSNRRate(s, t)
			return a / rate, b / rate
		},
	}
}

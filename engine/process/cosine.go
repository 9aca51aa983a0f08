package process

import (
	"fmt"
	"math"
)

// cosine is α = cos φ, σ = sin φ with φ linear in t. Unlimited, φ runs from 0 to
// π/2; with |λ| ≤ λmax from atan e^{−λmax/2} to atan e^{λmax/2}.
type cosine struct {
	continuous
	first, last float64 // φ at t = 0 and t = 1
	limit       float64 // λmax, 0 for none
}

func newCosine(o ScheduleOptions) (Schedule, error) {
	if o.MaxLogSNR < 0 || math.IsNaN(o.MaxLogSNR) || math.IsInf(o.MaxLogSNR, 0) {
		return nil, fmt.Errorf("λ limit %g, want a positive number, or 0 for none", o.MaxLogSNR)
	}
	if o.MaxLogSNR == 0 {
		return cosine{last: math.Pi / 2}, nil
	}
	first := math.Atan(math.Exp(-o.MaxLogSNR / 2))
	return cosine{first: first, last: math.Pi/2 - first, limit: o.MaxLogSNR}, nil
}

func (cosine) Name() string { return "cosine" }

func (c cosine) angle(t float64) float64 { return c.first + (c.last-c.first)*t }

func (c cosine) AlphaSigma(t float64) (alpha, sigma float64) {
	phi := c.angle(t)
	return math.Sin(math.Pi/2 - phi), math.Sin(phi) // exactly (0, 1) at π/2
}

func (c cosine) Velocity(t float64) (dAlpha, dSigma float64) {
	alpha, sigma := c.AlphaSigma(t)
	return -(c.last - c.first) * sigma, (c.last - c.first) * alpha
}

func (c cosine) LogSNR(t float64) float64 {
	alpha, sigma := c.AlphaSigma(t)
	return 2 * (math.Log(alpha) - math.Log(sigma))
}

func (c cosine) TimeOf(lambda float64) float64 {
	return clampTime((math.Atan(math.Exp(-lambda/2)) - c.first) / (c.last - c.first))
}

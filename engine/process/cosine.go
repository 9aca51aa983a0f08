package process

import "math"

// cosine is α = cos φ, σ = sin φ with φ = πt/2. Clipped to |λ| ≤ λmax, φ runs
// from atan e^{−λmax/2} to atan e^{λmax/2}; see clipped.
type cosine struct{ continuous }

func (cosine) Name() string { return "cosine" }
func (cosine) Path() Path   { return VPPath }

func (cosine) AlphaSigma(t float64) (alpha, sigma float64) {
	return math.Sin(math.Pi / 2 * (1 - t)), math.Sin(math.Pi / 2 * t) // exactly (0, 1) at t = 1
}

func (c cosine) Velocity(t float64) (dAlpha, dSigma float64) {
	alpha, sigma := c.AlphaSigma(t)
	return -math.Pi / 2 * sigma, math.Pi / 2 * alpha
}

func (c cosine) LogSNR(t float64) float64 {
	alpha, sigma := c.AlphaSigma(t)
	return 2 * (math.Log(alpha) - math.Log(sigma))
}

func (cosine) TimeOf(lambda float64) float64 {
	return 2 / math.Pi * math.Atan(math.Exp(-lambda/2))
}

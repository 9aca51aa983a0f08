package process

import "math"

// i2sb is the clock of G.-H. Liu et al., "I²SB: Image-to-Image Schrödinger Bridge" (2023),
// on the straight path: with √β linear from √1e-4 at both ends to the middle of what a
// line to √3e-4 at the other end has, σ = ∫₀ᵗβ / ∫₀¹β. It is symmetric in time.
type i2sb struct{ continuous }

const i2sbFirst = 0.01

// i2sbSlope of √β, to the middle of the way.
var i2sbSlope = math.Sqrt(3e-4) - i2sbFirst

// i2sbVariance is 1000 ∫β, σ² of the Brownian bridge of that clock.
var i2sbVariance = 2000 * i2sbArea(0.5)

// I2SBSigma is σ of its Brownian bridge.
var I2SBSigma = math.Sqrt(i2sbVariance)

// i2sbArea is ∫₀ᵗβ in the first half.
func i2sbArea(t float64) float64 {
	end := i2sbFirst + i2sbSlope*t
	return t * (end*end + end*i2sbFirst + i2sbFirst*i2sbFirst) / 3
}

func (i2sb) Name() string { return "i2sb" }
func (i2sb) Path() Path   { return LinearPath }

func (i2sb) AlphaSigma(t float64) (alpha, sigma float64) {
	share := i2sbArea(math.Min(t, 1-t)) / (2 * i2sbArea(0.5))
	if t > 0.5 {
		return share, 1 - share
	}
	return 1 - share, share
}

func (i2sb) Velocity(t float64) (dAlpha, dSigma float64) {
	root := i2sbFirst + i2sbSlope*math.Min(t, 1-t)
	d := root * root / (2 * i2sbArea(0.5))
	return -d, d
}

func (s i2sb) LogSNR(t float64) float64 {
	alpha, sigma := s.AlphaSigma(t)
	return 2 * (math.Log(alpha) - math.Log(sigma))
}

func (i2sb) TimeOf(lambda float64) float64 {
	sigma := 1 / (1 + math.Exp(lambda/2))
	share := math.Min(sigma, 1/(1+math.Exp(-lambda/2)))
	end := math.Cbrt(share*2*i2sbArea(0.5)*3*i2sbSlope + i2sbFirst*i2sbFirst*i2sbFirst)
	t := clampTime((end - i2sbFirst) / i2sbSlope)
	if sigma > 0.5 {
		return 1 - t
	}
	return t
}

// i2sbRow is (z − x)/σ_f of z = αx + σε + κ√(ασ) ξ, with σ_f = κ√σ.
func i2sbRow(q Point, spread float64) (a, b, c float64) {
	root := math.Sqrt(q.Sigma)
	return -root / spread, root / spread, math.Sqrt(q.Alpha)
}

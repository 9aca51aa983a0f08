package process

import "math"

// vpLinear has β(t) = β_min + β_d t, hence ln α = −(β_d t²/4 + β_min t/2), with
// σ on the path: √(1−α²) for VP, 1−α² for sub-VP. Song et al. (2021), appendix B.
type vpLinear struct {
	continuous
	name         string
	path         *Path
	betaD, beta0 float64
}

func newVPLinear(name string, path Path) Schedule {
	return vpLinear{name: name, path: &path, betaD: 19.9, beta0: 0.1}
}

func (s vpLinear) Name() string { return s.name }
func (s vpLinear) Path() Path   { return *s.path }

func (s vpLinear) logAlpha(t float64) float64 { return -t * (s.betaD*t/4 + s.beta0/2) }

func (s vpLinear) AlphaSigma(t float64) (alpha, sigma float64) {
	log := s.logAlpha(t)
	variance := -math.Expm1(2 * log) // 1 − α²
	if s.path.Name == SubVPPath.Name {
		return math.Exp(log), variance
	}
	return math.Exp(log), math.Sqrt(variance)
}

// Velocity of σ is infinite at t = 0 on the VP path: σ begins as √(β_min t).
func (s vpLinear) Velocity(t float64) (dAlpha, dSigma float64) {
	alpha, sigma := s.AlphaSigma(t)
	dAlpha = -alpha * (s.betaD*t + s.beta0) / 2
	if s.path.Name == SubVPPath.Name {
		return dAlpha, -2 * alpha * dAlpha
	}
	return dAlpha, -alpha * dAlpha / sigma
}

func (s vpLinear) LogSNR(t float64) float64 {
	_, sigma := s.AlphaSigma(t)
	return 2 * (s.logAlpha(t) - math.Log(sigma))
}

func (s vpLinear) TimeOf(lambda float64) float64 {
	alpha, sigma := s.path.At(lambda)
	// ln α, from the smaller of the two so that nothing cancels.
	var log float64
	if s.path.Name == SubVPPath.Name {
		log = math.Log1p(-sigma) / 2
	} else {
		log = math.Log1p(-sigma*sigma) / 2
	}
	if alpha < 0.5 {
		log = math.Log(alpha)
	}
	// β_d t²/4 + β_min t/2 + ln α = 0, the positive root without cancellation.
	t := -2 * log / (s.beta0/2 + math.Sqrt(s.beta0*s.beta0/4-s.betaD*log))
	if math.IsNaN(t) { // ∞/∞ at λ = −∞
		return 1
	}
	return clampTime(t)
}

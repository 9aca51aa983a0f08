package process

import (
	"fmt"
	"math"
)

// exploding is α = 1 with ln σ linear in t: Song et al. (2021), appendix B; with
// Karras et al.'s range by default.
type exploding struct {
	continuous
	name       string
	first, log float64 // σ at t = 0, ln of its ratio to σ at t = 1
}

// NewVE returns the variance-exploding schedule between two noise levels.
func NewVE(name string, sigmaMin, sigmaMax float64) (Schedule, error) {
	if !(sigmaMin > 0 && sigmaMax > sigmaMin) || math.IsInf(sigmaMax, 0) {
		return nil, fmt.Errorf("σ from %g to %g, want 0 < σ_min < σ_max", sigmaMin, sigmaMax)
	}
	return exploding{name: name, first: sigmaMin, log: math.Log(sigmaMax / sigmaMin)}, nil
}

func (s exploding) Name() string { return s.name }
func (s exploding) Path() Path   { return VEPath }

func (s exploding) AlphaSigma(t float64) (alpha, sigma float64) {
	return 1, s.first * math.Exp(t*s.log)
}

func (s exploding) Velocity(t float64) (dAlpha, dSigma float64) {
	_, sigma := s.AlphaSigma(t)
	return 0, s.log * sigma
}

func (s exploding) LogSNR(t float64) float64 { return -2 * (math.Log(s.first) + t*s.log) }

func (s exploding) TimeOf(lambda float64) float64 {
	return clampTime((-lambda/2 - math.Log(s.first)) / s.log)
}

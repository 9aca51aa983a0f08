package process

import (
	"errors"
	"math"
)

// flowMatching is the straight path α = 1−t, σ = t: rectified flow, CondOT.
type flowMatching struct{ continuous }

func newFlowMatching(o ScheduleOptions) (Schedule, error) {
	if o.MaxLogSNR != 0 {
		return nil, errors.New("takes no λ limit; only cosine does")
	}
	return flowMatching{}, nil
}

func (flowMatching) Name() string                                { return "fm" }
func (flowMatching) AlphaSigma(t float64) (alpha, sigma float64) { return 1 - t, t }
func (flowMatching) Velocity(float64) (dAlpha, dSigma float64)   { return -1, 1 }
func (flowMatching) LogSNR(t float64) float64                    { return 2 * (math.Log1p(-t) - math.Log(t)) }
func (flowMatching) TimeOf(lambda float64) float64               { return 1 / (1 + math.Exp(lambda/2)) }

package process

import "math"

// flowMatching is the straight path α = 1−t, σ = t: rectified flow, CondOT.
type flowMatching struct{ continuous }

func (flowMatching) Name() string                                { return "fm" }
func (flowMatching) Path() Path                                  { return LinearPath }
func (flowMatching) AlphaSigma(t float64) (alpha, sigma float64) { return 1 - t, t }
func (flowMatching) Velocity(float64) (dAlpha, dSigma float64)   { return -1, 1 }
func (flowMatching) LogSNR(t float64) float64                    { return 2 * (math.Log1p(-t) - math.Log(t)) }
func (flowMatching) TimeOf(lambda float64) float64               { return 1 / (1 + math.Exp(lambda/2)) }

// vpFlow is the straight path divided by √((1−t)²+t²): the same log-SNR at
// every time, and variance preserving.
type vpFlow struct{ flowMatching }

func (vpFlow) Name() string { return "vp-fm" }
func (vpFlow) Path() Path   { return VPPath }

func (vpFlow) AlphaSigma(t float64) (alpha, sigma float64) {
	n := math.Hypot(1-t, t)
	return (1 - t) / n, t / n
}

func (vpFlow) Velocity(t float64) (dAlpha, dSigma float64) {
	n := math.Hypot(1-t, t)
	return -t / (n * n * n), (1 - t) / (n * n * n)
}

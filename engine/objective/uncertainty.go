package objective

import (
	"encoding/json"
	"fmt"
	"math"

	"fluxion/nets/pyjson"
)

// uncertaintyFile is where a checkpoint keeps what is learnt of u.
const uncertaintyFile = "uncertainty.json"

// Uncertainty is how uncertain the loss of an image is, a learnt function u(λ) of its
// noise level (Kendall and Gal 2018; Karras et al., EDM2, arXiv 2312.02696, equation 21):
//
//	L = e^{−u(λ)}·ℓ + u(λ),  ℓ = w(λ)·mean((y − target)²)
//
// whose least value is at u = ln E[ℓ|λ]: then gradients are as large at all noise levels,
// and w means nothing any more. u is a linear map of Fourier features of λ, which begins at
// zero. Its gradient 1 − e^{−u}ℓ is that of one number an image, so that it is learnt
// beside the device, by Adam after each whole step, with the errors of its images.
type Uncertainty struct {
	Weights []float64 `json:"weights"` // of the features, and of the number 1
	Moment1 []float64 `json:"moment1"`
	Moment2 []float64 `json:"moment2"`
	Steps   int64     `json:"steps"`

	gradient []float64
	seen     int // images of the step
	batch    int
}

const (
	features = 128 // EDM2's
	// The rate of Adam, and its other numbers.
	uncertaintyRate                    = 0.01
	uncertaintyBeta1, uncertaintyBeta2 = 0.9, 0.99
	uncertaintyEpsilon                 = 1e-8
	furthest                           = 40 // λ of features; beyond it u stays the same
)

// NewUncertainty returns u = 0, to be learnt with steps of so many images.
func NewUncertainty(batch int) *Uncertainty {
	zeros := func() []float64 { return make([]float64, features+1) }
	return &Uncertainty{Weights: zeros(), Moment1: zeros(), Moment2: zeros(), gradient: zeros(), batch: batch}
}

// feature k of a noise level: √2·cos(2π(f·c + φ)) of c = −λ/8, which is EDM's ln σ/4. The
// frequencies are quantiles of a normal distribution, the phases a sequence that is even
// in [0, 1).
func feature(k int, lambda float64) float64 {
	const golden = 0.6180339887498949
	c := -math.Max(-furthest, math.Min(furthest, lambda)) / 8
	f := math.Sqrt2 * math.Erfinv(2*(float64(k)+0.5)/features-1)
	_, phase := math.Modf(float64(k) * golden)
	return math.Sqrt2 * math.Cos(2*math.Pi*(f*c+phase))
}

// each calls visit with the weight's number and what it is multiplied by.
func each(lambda float64, visit func(k int, by float64)) {
	scale := 1 / math.Sqrt(features)
	for k := range features {
		visit(k, scale*feature(k, lambda))
	}
	visit(features, 1)
}

// At is u of a noise level.
func (u *Uncertainty) At(lambda float64) (sum float64) {
	each(lambda, func(k int, by float64) { sum += float64(by * u.Weights[k]) })
	return sum
}

// Observe learns from an image's weighted error ℓ. One that is not finite is left out.
func (u *Uncertainty) Observe(lambda, weighted float64) {
	if slope := 1 - math.Exp(-u.At(lambda))*weighted; !math.IsNaN(slope) && !math.IsInf(slope, 0) {
		each(lambda, func(k int, by float64) { u.gradient[k] += float64(slope * by) })
	}
	if u.seen++; u.seen == u.batch {
		u.step()
	}
}

// step is Adam's.
func (u *Uncertainty) step() {
	u.Steps++
	correction := func(beta float64) float64 { return 1 / (1 - math.Pow(beta, float64(u.Steps))) }
	c1, c2 := correction(uncertaintyBeta1), correction(uncertaintyBeta2)
	for k, sum := range u.gradient {
		g := sum / float64(u.batch)
		m := float64(uncertaintyBeta1*u.Moment1[k]) + float64((1-uncertaintyBeta1)*g)
		v := float64(uncertaintyBeta2*u.Moment2[k]) + float64((1-uncertaintyBeta2)*g*g)
		u.Moment1[k], u.Moment2[k], u.gradient[k] = m, v, 0
		u.Weights[k] -= float64(uncertaintyRate * c1 * m / (math.Sqrt(v*c2) + uncertaintyEpsilon))
	}
	u.seen = 0
}

func (u *Uncertainty) state() *State {
	return &State{
		File:  uncertaintyFile,
		Store: func() ([]byte, error) { return json.Marshal(u) },
		Load: func(data []byte) (func() error, error) {
			var learnt Uncertainty
			if err := pyjson.Decode(data, &learnt); err != nil {
				return nil, err
			}
			for name, values := range map[string][]float64{"weights": learnt.Weights, "moment1": learnt.Moment1, "moment2": learnt.Moment2} {
				if len(values) != features+1 {
					return nil, fmt.Errorf("key %s: %d numbers, want %d", name, len(values), features+1)
				}
				for _, x := range values {
					if math.IsNaN(x) || math.IsInf(x, 0) || name == "moment2" && x < 0 {
						return nil, fmt.Errorf("key %s: %v, want finite numbers, and of moment2 none below 0", name, x)
					}
				}
			}
			if learnt.Steps < 0 {
				return nil, fmt.Errorf("key steps: %d, want 0 or more", learnt.Steps)
			}
			return func() error {
				u.Weights, u.Moment1, u.Moment2, u.Steps = learnt.Weights, learnt.Moment1, learnt.Moment2, learnt.Steps
				return nil
			}, nil
		},
	}
}

package objective

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"

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

	known, before map[float64]*noiseLevel // of the next step, of the one before
}

// noiseLevel is what is known of a noise level.
type noiseLevel struct {
	by    [features]float64 // its features
	u     float64           // at it, after so many steps
	after int64
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

// waves are the frequencies and phases of the features: those are quantiles of a normal distribution, these a
// sequence that is even in [0, 1).
var waves = sync.OnceValue(func() (w [features]struct{ f, phase float64 }) {
	const golden = 0.6180339887498949
	for k := range w {
		w[k].f = math.Sqrt2 * math.Erfinv(2*(float64(k)+0.5)/features-1)
		_, w[k].phase = math.Modf(float64(k) * golden)
	}
	return w
})

// level is a noise level, of which there may be one in the next step: its features are √2·cos(2π(f·c + φ)) of c = −λ/8,
// which is EDM's ln σ/4, over the root of how many there are.
func (u *Uncertainty) level(lambda float64) *noiseLevel {
	for _, known := range []map[float64]*noiseLevel{u.known, u.before} {
		if x := known[lambda]; x != nil {
			return x
		}
	}
	x := &noiseLevel{after: -1}
	c := -math.Max(-furthest, math.Min(furthest, lambda)) / 8
	scale := 1 / math.Sqrt(features)
	for k, w := range waves() {
		x.by[k] = scale * (math.Sqrt2 * math.Cos(2*math.Pi*(w.f*c+w.phase)))
	}
	if u.known == nil {
		u.known = map[float64]*noiseLevel{}
	}
	u.known[lambda] = x
	return x
}

// At is u of a noise level.
func (u *Uncertainty) At(lambda float64) (sum float64) {
	x := u.level(lambda)
	for k, by := range &x.by {
		sum += float64(by * u.Weights[k])
	}
	x.u, x.after = sum+u.Weights[features], u.Steps
	return x.u
}

// Observe learns from an image's weighted error ℓ. One that is not finite is left out.
func (u *Uncertainty) Observe(lambda, weighted float64) {
	x := u.level(lambda)
	at := x.u
	if x.after != u.Steps {
		at = u.At(lambda)
	}
	if slope := 1 - math.Exp(-at)*weighted; !math.IsNaN(slope) && !math.IsInf(slope, 0) {
		for k, by := range &x.by {
			u.gradient[k] += float64(slope * by)
		}
		u.gradient[features] += slope
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
	u.known, u.before = nil, u.known
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
				u.known, u.before = nil, nil
				return nil
			}, nil
		},
	}
}

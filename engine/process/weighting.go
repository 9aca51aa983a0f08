package process

import (
	"fmt"
	"math"
	"strings"

	"fluxion/data/lookup"
)

// Weighting is w(λ) of the objective ∫ w(λ) E‖ε̂−ε‖² dλ (MATHEMATICS.md, section 3), up to a
// constant. Some weightings are functions of λ alone; others are factors on a
// loss at whatever times are drawn, so that the density of λ is part of w.
type Weighting struct {
	Name string // as GetWeighting reads it, with parameters
	// Of returns w at λ, given the density of λ and (b − aσ/α)², by which the
	// squared error of the output is larger than that of ε.
	Of func(lambda, density, factor float64) float64
}

// OfTimes reports whether w follows the density of the times that are drawn.
func (w Weighting) OfTimes() bool { return w.Of(0, 1, 1) != w.Of(0, 2, 1) }

// WeightingKind is a weighting's place in the list.
type WeightingKind struct {
	Name, About string
	Defaults    Parameters
	make        func(p Parameters) (Weighting, error)
}

const plainWeighting = "plain"

// Adding a weighting is a line here.
var weightingKinds = []WeightingKind{
	{plainWeighting, "the squared error of the output at the times drawn, as it is", nil, func(Parameters) (Weighting, error) {
		return Weighting{Of: func(_, density, factor float64) float64 { return density * factor }}, nil
	}},
	{"elbo", "the likelihood's bound: w = 1", nil, ofLambda(func(float64) float64 { return 1 })},
	{"fm", "flow matching, or v on the cosine: w = exp(−λ/2)", nil, ofLambda(func(l float64) float64 { return math.Exp(-l / 2) })},
	{"sech", "ε on the cosine (improved DDPM): w = sech(λ/2)", nil, ofLambda(func(l float64) float64 { return 1 / math.Cosh(l/2) })},
	{"edm", "EDM: w = N(λ; mean, std²)(exp(−λ) + data²)", edmDefaults, edmWeighting(false)},
	{"monotone-edm", "EDM held constant left of its maximum (VDM++)", edmDefaults, edmWeighting(true)},
	{"sd3", "SD3's logit-normal times on ε − x: w = N(λ; −2 mean, (2 std)²)(1+exp(−λ/2))²", Parameters{"mean": 0, "std": 1}, flowTimes(logitNormal)},
	{"sd3-mode", "SD3's mode sampling on ε − x", Parameters{"scale": 1.29}, flowTimes(modeTime)},
	{"sd3-cosmap", "SD3's CosMap on ε − x", nil, flowTimes(cosmap)},
	{"sigmoid", "w = sigmoid(bias − λ) (SiD2)", Parameters{"bias": 2}, func(p Parameters) (Weighting, error) {
		return ofLambda(func(l float64) float64 { return 1 / (1 + math.Exp(l-p["bias"])) })(p)
	}},
	// Hang et al. (2023): min(SNR, γ) on x, at the times drawn; on v that is
	// min(SNR, γ)/(SNR+1).
	{"min-snr", "min(SNR, gamma) on the error of x, at the times drawn", Parameters{"gamma": 5}, onEps([]string{"gamma"}, func(l float64, p Parameters) float64 {
		return math.Min(1, p["gamma"]*math.Exp(-l))
	})},
	// Choi et al., "Perception Prioritized Training…" (2022), equation 8.
	{"p2", "1/(k+SNR)^gamma on the error of ε, at the times drawn", Parameters{"k": 1, "gamma": 1}, onEps([]string{"k"}, func(l float64, p Parameters) float64 {
		return math.Pow(p["k"]+math.Exp(l), -p["gamma"])
	})},
	// Salimans and Ho (2022), section 4.
	{"truncated-snr", "max(SNR, 1) on the error of x, at the times drawn", nil, onEps(nil, func(l float64, _ Parameters) float64 {
		return math.Max(1, math.Exp(-l))
	})},
}

var edmDefaults = Parameters{"mean": 2.4, "std": 2.4, "data": 0.5}

func ofLambda(w func(lambda float64) float64) func(Parameters) (Weighting, error) {
	return func(Parameters) (Weighting, error) {
		return Weighting{Of: func(lambda, _, _ float64) float64 { return w(lambda) }}, nil
	}
}

// onEps is a factor on the error of ε at the times drawn.
func onEps(positive []string, factor func(lambda float64, p Parameters) float64) func(Parameters) (Weighting, error) {
	return func(p Parameters) (Weighting, error) {
		return Weighting{Of: func(lambda, density, _ float64) float64 { return density * factor(lambda, p) }}, p.positive(positive...)
	}
}

// edmWeighting is N(λ; 2.4, 2.4²)(e^{−λ} + σ_d²), monotone with its left side
// raised to the maximum.
func edmWeighting(monotone bool) func(Parameters) (Weighting, error) {
	return func(p Parameters) (Weighting, error) {
		m, s, d := p["mean"], p["std"], p["data"]
		w := func(l float64) float64 { return normalDensity(l, m, s) * (math.Exp(-l) + d*d) }
		if !monotone {
			built, _ := ofLambda(w)(p)
			return built, p.positive("std", "data")
		}
		// The logarithm has one maximum: between that of each summand alone,
		// λ = m − s² and λ = m. Its slope changes sign there.
		slope := func(l float64) float64 { return (l-m)/(s*s) + 1/(1+d*d*math.Exp(l)) }
		low, high := m-s*s, m
		top := low + (high-low)*increasingInverse(func(u float64) float64 { return slope(low + (high-low)*u) }, 0)
		built, _ := ofLambda(func(l float64) float64 { return w(math.Max(l, top)) })(p)
		return built, p.positive("std", "data")
	}
}

// flowTimes is the weighting of flow matching with times drawn by a sampler.
func flowTimes(times func(Schedule, Parameters) (TimeSampler, error)) func(Parameters) (Weighting, error) {
	return func(p Parameters) (Weighting, error) {
		s := flowMatching{}
		t, err := times(s, p)
		if err != nil {
			return Weighting{}, err
		}
		return ofLambda(func(l float64) float64 {
			at := s.TimeOf(l)
			return t.Density(at) * at * (1 - at) / 2 * math.Pow(1+math.Exp(-l/2), 2)
		})(p)
	}
}

// Weightings returns the names that GetWeighting knows.
func Weightings() []string {
	return names(weightingKinds, func(k WeightingKind) string { return k.Name })
}

// ListWeightings returns every weighting.
func ListWeightings() []WeightingKind { return weightingKinds }

// GetWeighting returns a weighting by name and parameters: min-snr:gamma=5.
func GetWeighting(text string) (Weighting, error) {
	name, parameters, _ := strings.Cut(text, ":")
	i, err := lookup.Find("weighting", name, Weightings())
	if err != nil {
		return Weighting{}, err
	}
	p, err := ParseParameters("weighting", name, parameters, weightingKinds[i].Defaults)
	if err != nil {
		return Weighting{}, err
	}
	w, err := weightingKinds[i].make(p)
	if err != nil {
		return Weighting{}, fmt.Errorf("weighting %s: %w", text, err)
	}
	w.Name = text
	return w, nil
}

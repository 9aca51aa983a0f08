package scheduler

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mathext"
)

// sigmaKeys choose a grid of noise levels in place of a grid of times.
type sigmaKeys struct {
	UseKarrasSigmas      bool `json:"use_karras_sigmas"`
	UseExponentialSigmas bool `json:"use_exponential_sigmas"`
	UseBetaSigmas        bool `json:"use_beta_sigmas"`
}

// sigmaRange bounds such a grid; without it the schedule's own ends do. Some
// classes have these keys; the others honour them where they stand.
type sigmaRange struct {
	SigmaMin *float64 `json:"sigma_min"`
	SigmaMax *float64 `json:"sigma_max"`
}

// guestRange is the same for a class that does not have the keys.
type guestRange struct {
	SigmaMin optional `json:"sigma_min"`
	SigmaMax optional `json:"sigma_max"`
}

func (r guestRange) own() sigmaRange { return sigmaRange{r.SigmaMin, r.SigmaMax} }

// kind returns the grid's name, empty for the times' own.
func (k sigmaKeys) kind() (string, error) {
	var kinds []string
	for _, c := range []struct {
		on   bool
		name string
	}{{k.UseKarrasSigmas, "karras"}, {k.UseExponentialSigmas, "exponential"}, {k.UseBetaSigmas, "beta"}} {
		if c.on {
			kinds = append(kinds, c.name)
		}
	}
	switch len(kinds) {
	case 0:
		return "", nil
	case 1:
		return kinds[0], nil
	}
	return "", errors.New("use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas exclude each other, want one")
}

// grid returns steps noise levels from first to last, both included, or those
// of the range.
func (r sigmaRange) grid(kind string, first, last float64, steps int) ([]float64, error) {
	if r.SigmaMax != nil {
		first = *r.SigmaMax
	}
	if r.SigmaMin != nil {
		last = *r.SigmaMin
	}
	if !(last > 0 && (first > last || first == last && steps == 1)) || math.IsInf(first, 0) {
		return nil, refuse("sigma_min, sigma_max", []float64{last, first}, "positive numbers, the first the smaller one")
	}
	sigmas := make([]float64, steps)
	switch kind {
	case "karras":
		karras(sigmas, first, last, 7)
	case "exponential":
		exponential(sigmas, first, last)
	case "beta": // Lee et al., "Beta Sampling is All You Need" (2024)
		linspace(sigmas, 0, 1)
		for i, u := range sigmas {
			sigmas[i] = last + betaQuantile(1-u)*(first-last)
		}
	}
	return sigmas, nil
}

// karras spaces σ^{1/ρ} equally: Karras et al., "Elucidating the Design Space
// of Diffusion-Based Generative Models" (2022), equation 5.
func karras(sigmas []float64, first, last, rho float64) {
	a, b := math.Pow(first, 1/rho), math.Pow(last, 1/rho)
	linspace(sigmas, 0, 1)
	for i, u := range sigmas {
		sigmas[i] = math.Pow(a+u*(b-a), rho)
	}
}

func exponential(sigmas []float64, first, last float64) {
	linspace(sigmas, math.Log(first), math.Log(last))
	for i, log := range sigmas {
		sigmas[i] = math.Exp(log)
	}
}

// betaQuantile inverts the distribution function of Beta(0.6, 0.6).
func betaQuantile(p float64) float64 {
	if p <= 0 || p >= 1 {
		return math.Min(math.Max(p, 0), 1)
	}
	return mathext.InvRegIncBeta(0.6, 0.6, p)
}

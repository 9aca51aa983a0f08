package scheduler

import (
	"math"

	"fluxion/engine/sampler"
)

// ddpm is Ho, Jain, Abbeel, "Denoising Diffusion Probabilistic Models" (2020).
type ddpm struct {
	betas
	zeroSNR
	prediction
	clipping
	thresholding
	spacing
	VarianceType string `json:"variance_type"`
}

func newDDPM() Class {
	return &ddpm{linearBetas(), zeroSNR{}, epsilon, clipping{true, 1}, noThreshold, spacing{"leading", 0}, "fixed_small"}
}

// learnedRange is the variance of a network that says where each is between the least and the largest.
const learnedRange = "learned_range"

func (c *ddpm) plan(p *planner) error {
	if err := p.limit(c.clipping, c.thresholding); err != nil {
		return err
	}
	alphas, err := p.discrete(c.betas, c.RescaleBetasZeroSNR, c.PredictionType, "sigmoid", "laplace")
	if err != nil {
		return err
	}
	times, err := c.times(p, spread{train: len(alphas), last: len(alphas), steps: p.Steps, round: true})
	if err != nil {
		return err
	}
	for _, n := range times {
		p.preserving(n, alphas[int(n)])
	}
	p.data()
	m := method{name: "ddpm"}
	switch c.VarianceType {
	case "fixed_small", "fixed_small_log": // the same numbers
	case "fixed_large", "fixed_large_log":
		m.options.Variance = "large"
		if c.VarianceType == "fixed_large_log" && !p.correct(logVariance) {
			return refuse("variance_type", c.VarianceType, "fixed_large: diffusers takes the root of a logarithm, which is not a number")
		}
		// Up to time 0 nothing is added after it; from later times diffusers adds
		// √β to the result.
		if last := times[len(times)-1]; last > 0 && !p.correct(finalNoise) {
			m.finalNoise = math.Sqrt(1 - alphas[int(last)])
		}
	case learnedRange:
		if !p.Learnt {
			return refuse("variance_type", c.VarianceType, "fixed_small, fixed_small_log, fixed_large or fixed_large_log; the network does not learn a variance")
		}
		if times[len(times)-1] > 0 && !p.correct(finalNoise) {
			return refuse("variance_type", c.VarianceType, "another, or the noise that diffusers adds to the result left out")
		}
		m.options.Variance = sampler.Learned
	default:
		return refuse("variance_type", c.VarianceType, "fixed_small, fixed_small_log, fixed_large, fixed_large_log or learned_range")
	}
	return p.run(m)
}

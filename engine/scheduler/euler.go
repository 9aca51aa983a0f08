package scheduler

import (
	"math"
)

// euler is Euler's method in σ, on z = x + σε: Karras et al. (2022) without
// churn, which is DDIM.
type euler struct {
	betas
	zeroSNR
	prediction
	spacing
	sigmaKeys
	sigmaRange
	finalSigma
	InterpolationType string `json:"interpolation_type"`
	TimestepType      string `json:"timestep_type"`
}

func newEuler() Class {
	return &euler{betas: linearBetas(), prediction: epsilon, spacing: spacing{"linspace", 0}, finalSigma: finalSigma{"zero"},
		InterpolationType: "linear", TimestepType: "discrete"}
}

func (c *euler) plan(p *planner) error {
	zero, err := c.zero()
	if err != nil {
		return err
	}
	if c.PredictionType == "original_sample" { // diffusers' other name for it
		c.PredictionType = "sample"
	}
	alphas, err := p.discrete(c.betas, c.RescaleBetasZeroSNR, c.PredictionType)
	if err != nil {
		return err
	}
	table := p.tableOf(alphas)
	l, err := ratioGrid(p, c.spacing, c.sigmaKeys, c.sigmaRange, table)
	if err != nil {
		return err
	}
	// diffusers' log-linear grid has an entry more than it has times, leaves
	// the times as they were, and so ends at the last entry.
	excess := false
	switch c.InterpolationType {
	case "linear":
	case "log_linear":
		if c.sigmaKeys == (sigmaKeys{}) {
			if excess = !p.correct(logLinear); excess {
				l.sigmas = make([]float64, p.Steps+1)
			}
			exponential(l.sigmas, table[len(table)-1], table[0])
			for i := 0; i < p.Steps && !excess; i++ {
				l.times[i] = timeOf(l.sigmas[i], table)
			}
		} else if l, err = p.ratioSigmas(c.sigmaKeys, c.sigmaRange, table[len(table)-1], table[0], table); err != nil {
			return err
		}
	default:
		return refuse("interpolation_type", c.InterpolationType, "linear or log_linear")
	}
	time := func(sigma float64) float64 { return timeOf(sigma, table) }
	switch c.TimestepType {
	case "discrete":
	case "continuous":
		if c.PredictionType == "v_prediction" {
			p.clock = func(_, sigma float64) float64 { return (timeOf(sigma, table) + 1) / float64(len(table)) }
			time = func(sigma float64) float64 { return 0.25 * math.Log(sigma) }
			for i := range l.times {
				l.times[i] = time(l.sigmas[i])
			}
		}
	default:
		return refuse("timestep_type", c.TimestepType, "discrete or continuous")
	}
	p.exploding(l)
	switch {
	case excess:
		p.vary(0, l.sigmas[p.Steps])
	case zero:
		p.data()
	default:
		p.vary(0, table[0])
	}
	p.churn(time)
	return p.run(method{name: "ddim"})
}

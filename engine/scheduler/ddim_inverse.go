package scheduler

import "slices"

// ddimInverse runs DDIM from data to noise. The step from n to the next time is
// made with the network told that next time, as in the inversions of the
// literature (Mokady et al., "Null-text Inversion", 2023): the level of clean
// data has no time of its own.
type ddimInverse struct {
	betas
	zeroSNR
	prediction
	clipping
	spacing
	SetAlphaToOne bool `json:"set_alpha_to_one"`
}

func newDDIMInverse() Class {
	return &ddimInverse{linearBetas(), zeroSNR{}, epsilon, clipping{true, 1}, spacing{"leading", 0}, true}
}

func (c *ddimInverse) plan(p *planner) error {
	if c.TimestepSpacing == "linspace" {
		return refuse("timestep_spacing", c.TimestepSpacing, "leading or trailing")
	}
	if err := p.limit(c.clipping, noThreshold); err != nil {
		return err
	}
	alphas, err := p.discrete(c.betas, c.RescaleBetasZeroSNR, c.PredictionType)
	if err != nil {
		return err
	}
	times, err := c.times(p, spread{train: len(alphas), last: len(alphas), steps: p.Steps, round: true})
	if err != nil {
		return err
	}
	stride := len(alphas) / p.Steps
	arithmetic := !strided(times, stride) && !p.correct(previousStep)
	slices.Reverse(times)
	p.end(c.SetAlphaToOne, alphas)
	p.points[0].NetworkTime = times[0]
	for i, n := range times {
		p.preserving(n, alphas[int(n)])
		if i+1 < len(times) {
			p.points[i+1].NetworkTime = times[i+1]
		}
	}
	if arithmetic {
		for i, n := range times {
			p.leave(i, alphas, min(int(n)-stride, len(alphas)-1))
		}
	}
	return p.run(method{name: "ddim"})
}

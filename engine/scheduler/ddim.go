package scheduler

import "fluxion/engine/sampler"

// ddim is Song, Meng, Ermon, "Denoising Diffusion Implicit Models" (2021).
type ddim struct {
	betas
	zeroSNR
	prediction
	clipping
	thresholding
	spacing
	SetAlphaToOne bool `json:"set_alpha_to_one"`
}

func newDDIM() Class {
	return &ddim{linearBetas(), zeroSNR{}, epsilon, clipping{true, 1}, noThreshold, spacing{"leading", 0}, true}
}

func (c *ddim) plan(p *planner) error {
	if err := p.limit(c.clipping, c.thresholding); err != nil {
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
	for _, n := range times {
		p.preserving(n, alphas[int(n)])
	}
	p.end(c.SetAlphaToOne, alphas)
	stride := len(alphas) / p.Steps
	if !strided(times, stride) && !p.correct(previousStep) {
		for i, n := range times {
			p.aim(i, alphas, int(n)-stride)
		}
	}
	return p.run(method{name: "ddim", options: sampler.Options{Eta: p.eta(nil)}})
}

// strided reports whether every time less the stride is the next one, and the
// last is less than the stride.
func strided(times []float64, stride int) bool {
	for i, n := range times {
		next := n - float64(stride)
		if i+1 < len(times) && times[i+1] != next || i+1 == len(times) && next >= 0 {
			return false
		}
	}
	return true
}

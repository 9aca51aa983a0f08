package scheduler

import "fluxion/engine/sampler"

// heun is Heun's method in σ, the last step Euler's.
type heun struct {
	betas
	prediction
	clipping
	spacing
	sigmaKeys
	guestRange
}

func newHeun() Class {
	return &heun{betas: latentBetas("linear"), prediction: epsilon, clipping: clipping{false, 1}, spacing: spacing{"linspace", 0}}
}

func (c *heun) plan(p *planner) error {
	if err := p.limit(c.clipping, noThreshold); err != nil {
		return err
	}
	alphas, err := p.discrete(c.betas, false, c.PredictionType, "exp")
	if err != nil {
		return err
	}
	l, err := ratioGrid(p, c.spacing, c.sigmaKeys, c.own(), ratios(alphas))
	if err != nil {
		return err
	}
	p.exploding(l)
	p.data()
	return p.run(method{name: "heun", options: sampler.Options{Variable: "eps"}})
}

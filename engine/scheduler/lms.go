package scheduler

// lms is the linear multistep method of k-diffusion: ε̂ extrapolated as a
// polynomial of σ, of order 4.
type lms struct {
	betas
	prediction
	spacing
	sigmaKeys
	guestRange
}

func newLMS() Class {
	return &lms{betas: linearBetas(), prediction: epsilon, spacing: spacing{"linspace", 0}}
}

func (c *lms) plan(p *planner) error {
	alphas, err := p.discrete(c.betas, false, c.PredictionType)
	if err != nil {
		return err
	}
	l, err := ratioGrid(p, c.spacing, c.sigmaKeys, c.own(), ratios(alphas))
	if err != nil {
		return err
	}
	p.exploding(l)
	p.data()
	return p.run(method{name: "lms"})
}

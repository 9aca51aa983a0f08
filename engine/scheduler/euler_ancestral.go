package scheduler

// eulerAncestral is k-diffusion's: DDPM on z = x + σε.
type eulerAncestral struct {
	betas
	zeroSNR
	prediction
	spacing
}

func newEulerAncestral() Class {
	return &eulerAncestral{linearBetas(), zeroSNR{}, epsilon, spacing{"linspace", 0}}
}

func (c *eulerAncestral) plan(p *planner) error {
	if c.PredictionType == "sample" {
		return refuse("prediction_type", "sample", "epsilon or v_prediction")
	}
	alphas, err := p.discrete(c.betas, c.RescaleBetasZeroSNR, c.PredictionType)
	if err != nil {
		return err
	}
	l, err := ratioGrid(p, c.spacing, sigmaKeys{}, sigmaRange{}, p.tableOf(alphas))
	if err != nil {
		return err
	}
	p.exploding(l)
	p.data()
	return p.run(method{name: "ddpm"})
}

package scheduler

// edmDPM is DPM-Solver++ on EDM's schedule and output.
type edmDPM struct {
	edmKeys
	prediction
	thresholding
	dpmKeys
	finalSigma
	EulerAtFinal bool `json:"euler_at_final"`
}

func newEDMDPM() Class {
	return &edmDPM{edmDefaults, epsilon, noThreshold, dpmDefaults, finalSigma{"zero"}, false}
}

func (c *edmDPM) plan(p *planner) error {
	m, err := c.method()
	if err != nil {
		return err
	}
	if m.options.Variable == "eps" {
		return refuse("algorithm_type", c.AlgorithmType, "dpmsolver++ or sde-dpmsolver++")
	}
	if err := p.limit(clipping{}, c.thresholding); err != nil {
		return err
	}
	if err := c.points(p, c.finalSigma, c.PredictionType); err != nil {
		return err
	}
	zero, _ := c.zero()
	return p.run(c.ends(m, p.Steps, zero || c.EulerAtFinal))
}

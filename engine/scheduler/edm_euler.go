package scheduler

import "math"

// edmEuler is Euler's method on EDM's schedule and output.
type edmEuler struct {
	edmKeys
	prediction
	finalSigma
}

func newEDMEuler() Class { return &edmEuler{edmDefaults, epsilon, finalSigma{"zero"}} }

func (c *edmEuler) plan(p *planner) error {
	if err := c.points(p, c.finalSigma, c.PredictionType); err != nil {
		return err
	}
	p.churn(func(sigma float64) float64 { return 0.25 * math.Log(sigma) })
	return p.run(method{name: "ddim"})
}

package scheduler

import "fluxion/engine/sampler"

// deis is Zhang and Chen, "Fast Sampling of Diffusion Models with Exponential
// Integrator" (2023): log-rho multistep.
type deis struct {
	betas
	prediction
	thresholding
	spacing
	dpmKeys
	sigmaKeys
	guestRange
	flowSigmas
	dynamicShift
}

func newDEIS() Class {
	return &deis{betas: linearBetas(), prediction: epsilon, thresholding: noThreshold, spacing: spacing{"linspace", 0},
		dpmKeys: dpmKeys{2, "deis", "logrho", true}, flowSigmas: flowSigmas{false, 1}, dynamicShift: dynamicShift{false, "exponential"}}
}

func (c *deis) plan(p *planner) error {
	switch c.AlgorithmType {
	case "deis", "dpmsolver", "dpmsolver++": // diffusers takes all for the first
	default:
		return refuse("algorithm_type", c.AlgorithmType, "deis")
	}
	switch c.SolverType {
	case "logrho", "midpoint", "heun", "bh1", "bh2":
	default:
		return refuse("solver_type", c.SolverType, "logrho")
	}
	if c.SolverOrder < 1 || c.SolverOrder > 3 {
		return refuse("solver_order", c.SolverOrder, "1, 2 or 3")
	}
	if err := p.limit(clipping{}, c.thresholding); err != nil {
		return err
	}
	alphas, err := p.discreteOrFlow(c.betas, false, c.PredictionType)
	if err != nil {
		return err
	}
	table := ratios(alphas)
	grid, err := c.kind()
	if err != nil {
		return err
	}
	if err := p.flowFits(c.UseFlowSigmas, c.PredictionType, grid); err != nil {
		return err
	}
	var l levels
	switch {
	case grid != "":
		l, err = p.bySigma(grid, c.own(), table, grid == "karras")
	case c.UseFlowSigmas:
		l, err = p.byFlow(c.flowSigmas, c.dynamicShift, len(alphas))
	default:
		var times []float64
		times, err = c.times(p, spread{len(alphas), len(alphas), p.Steps, true, true})
		l = byTime(times, table)
	}
	if err != nil {
		return err
	}
	p.solverPoints(l, c.UseFlowSigmas)
	if last := len(l.times) - 1; grid != "" || c.UseFlowSigmas {
		p.solverPoints(levels{l.times[last:], l.sigmas[last:]}, c.UseFlowSigmas)
	} else {
		p.ratio(0, table[0])
	}
	return p.run(c.ends(method{name: "deis", options: sampler.Options{Order: c.SolverOrder}}, len(l.times), false))
}

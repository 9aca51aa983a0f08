package scheduler

import "math"

// dpmSinglestep is Lu et al., "DPM-Solver" (2022): groups of up to three calls
// that leave from the same state.
type dpmSinglestep struct {
	betas
	prediction
	thresholding
	dpmKeys
	sigmaKeys
	guestRange
	flowSigmas
	dynamicShift
	finalSigma
	LambdaMinClipped float64 `json:"lambda_min_clipped"`
	VarianceType     *string `json:"variance_type"`
}

func newDPMSinglestep() Class {
	return &dpmSinglestep{betas: linearBetas(), prediction: epsilon, thresholding: noThreshold,
		dpmKeys: dpmKeys{2, "dpmsolver++", "midpoint", false}, flowSigmas: flowSigmas{false, 1},
		dynamicShift: dynamicShift{false, "exponential"}, finalSigma: finalSigma{"zero"}, LambdaMinClipped: math.Inf(-1)}
}

func (c *dpmSinglestep) plan(p *planner) error {
	if err := learned(c.VarianceType); err != nil {
		return err
	}
	zero, err := c.zero()
	if err != nil {
		return err
	}
	m, err := c.method(p)
	if err != nil {
		return err
	}
	m.name = "dpm-singlestep"
	if m.noise && m.stochastic {
		return refuse("algorithm_type", c.AlgorithmType, "dpmsolver++, sde-dpmsolver++ or dpmsolver")
	}
	if m.noise && zero {
		return refuse("final_sigmas_type", "zero", "sigma_min with algorithm_type "+c.AlgorithmType)
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
		times, err = spacing{TimestepSpacing: "linspace"}.times(p, spread{len(alphas), lastTime(table, c.LambdaMinClipped), p.Steps, true, true})
		l = byTime(times, table)
	}
	if err != nil {
		return err
	}
	p.solverPoints(l, c.UseFlowSigmas)
	switch {
	case zero:
		p.data()
	case c.UseFlowSigmas && p.correct(foreignEnd):
		p.flow(1, 1/float64(len(alphas)))
	case c.UseFlowSigmas:
		p.flow(0, table[0])
	default:
		p.ratio(0, table[0])
	}
	m.orders = c.groups(p.Steps, zero)
	return p.run(m)
}

// groups are the orders of a run's calls. Where the order does not divide the
// steps, or the run ends at 0, it ends with lower orders whatever
// lower_order_final says, as in diffusers.
func (c *dpmSinglestep) groups(steps int, zero bool) []int {
	lower := c.LowerOrderFinal || steps%c.SolverOrder != 0 || zero
	orders := make([]int, steps)
	for k := range orders {
		orders[k] = k%c.SolverOrder + 1
	}
	if lower {
		switch {
		case c.SolverOrder == 3 && steps%3 == 0: // …, 1, 2, 1
			orders[steps-1] = 1
		case c.SolverOrder == 2 && steps%2 == 0: // …, 1, 1
			orders[steps-1] = 1
		}
	}
	if zero {
		orders[steps-1] = 1
	}
	return orders
}

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
	if err := learned(p, c.VarianceType); err != nil {
		return err
	}
	zero, err := c.zero()
	if err != nil {
		return err
	}
	m, err := c.method()
	if err != nil {
		return err
	}
	if m.options.Variable == "eps" && m.stochastic() {
		return refuse("algorithm_type", c.AlgorithmType, "dpmsolver++, sde-dpmsolver++ or dpmsolver")
	}
	if m.options.Variable == "eps" && zero {
		return refuse("final_sigmas_type", "zero", "sigma_min with algorithm_type "+c.AlgorithmType)
	}
	if m.stochastic() {
		one := 1.0
		m.options.Eta = &one
		if c.SolverOrder == 3 && m.options.Solver == "heun" && p.Steps > 3 {
			m.options.Compat = !p.correct(thirdOrder)
		}
	}
	m.name = "dpm-singlestep"
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
	// Where the order does not divide the steps, or the run ends at 0, it ends
	// with lower orders whatever lower_order_final says, as in diffusers.
	m.options.LowerOrderFinal = c.LowerOrderFinal || p.Steps%c.SolverOrder != 0 || zero
	m.options.FirstOrderFinal = zero
	return p.run(m)
}

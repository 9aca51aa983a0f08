package scheduler

import (
	"math"

	"fluxion/engine/sampler"
)

// uniPC is Zhao et al., "UniPC" (2023).
type uniPC struct {
	betas
	zeroSNR
	prediction
	thresholding
	spacing
	sigmaKeys
	sigmaRange
	flowSigmas
	dynamicShift
	finalSigma
	SolverOrder      int      `json:"solver_order"`
	PredictX0        bool     `json:"predict_x0"`
	SolverType       string   `json:"solver_type"`
	LowerOrderFinal  bool     `json:"lower_order_final"`
	DisableCorrector []int    `json:"disable_corrector"`
	SolverP          any      `json:"solver_p"`
	ShiftTerminal    *float64 `json:"shift_terminal"`
}

func newUniPC() Class {
	return &uniPC{betas: linearBetas(), prediction: epsilon, thresholding: noThreshold, spacing: spacing{"linspace", 0},
		flowSigmas: flowSigmas{false, 1}, dynamicShift: dynamicShift{false, "exponential"}, finalSigma: finalSigma{"zero"},
		SolverOrder: 2, PredictX0: true, SolverType: "bh2", LowerOrderFinal: true, DisableCorrector: []int{}}
}

func (c *uniPC) plan(p *planner) error {
	zero, err := c.zero()
	if err != nil {
		return err
	}
	m := method{name: "unipc", options: sampler.Options{Order: c.SolverOrder, Solver: c.SolverType, Variable: "x",
		LowerOrderFinal: c.LowerOrderFinal, Uncorrected: c.DisableCorrector}}
	if !c.PredictX0 {
		m.options.Variable = "eps"
	}
	switch {
	case c.SolverP != nil:
		return refuse("solver_p", "another scheduler", "null: UniPC's own predictor")
	case c.SolverOrder < 1 || c.SolverOrder > 4:
		return refuse("solver_order", c.SolverOrder, "1 to 4")
	case c.SolverType == "midpoint" || c.SolverType == "heun" || c.SolverType == "logrho":
		m.options.Solver = "bh2" // as diffusers takes it
	case c.SolverType != "bh1" && c.SolverType != "bh2":
		return refuse("solver_type", c.SolverType, "bh1 or bh2")
	case !c.PredictX0 && zero:
		return refuse("final_sigmas_type", "zero", "sigma_min with predict_x0 = false: ln(α/σ) is infinite at the end")
	case !c.PredictX0 && c.Thresholding:
		return refuse("thresholding", true, "false with predict_x0 = false")
	case c.ShiftTerminal != nil && !c.UseFlowSigmas:
		return refuse("shift_terminal", *c.ShiftTerminal, "null without use_flow_sigmas")
	}
	if err := p.limit(clipping{}, c.thresholding); err != nil {
		return err
	}
	alphas, err := p.discreteOrFlow(c.betas, c.RescaleBetasZeroSNR, c.PredictionType)
	if err != nil {
		return err
	}
	table := p.tableOf(alphas)
	grid, err := c.kind()
	if err != nil {
		return err
	}
	flow := c.UseFlowSigmas
	karrasFlow := flow && grid == "karras" // which is said in σ/α
	if karrasFlow {
		err = p.flowFits(true, c.PredictionType, "")
	} else {
		err = p.flowFits(flow, c.PredictionType, grid)
	}
	if err != nil {
		return err
	}
	var l levels
	switch {
	case karrasFlow:
		if l.sigmas, err = c.grid(grid, table[len(table)-1], table[0], p.Steps); err == nil {
			for i, s := range l.sigmas {
				l.sigmas[i] = s / (s + 1)
			}
			l.times = p.flowTimes(l.sigmas, len(alphas))
		}
	case grid != "":
		l, err = p.bySigma(grid, c.sigmaRange, table, grid == "karras")
	case flow:
		l, err = c.flowLevels(p, len(alphas))
	default:
		var times []float64
		times, err = c.times(p, spread{len(alphas), len(alphas), p.Steps, true, true})
		l = byTime(times, table)
	}
	if err != nil {
		return err
	}
	p.solverPoints(l, flow)
	switch {
	case zero:
		p.data()
	case grid != "" || flow: // the last level again
		p.solverPoints(levels{l.times[len(l.times)-1:], l.sigmas[len(l.sigmas)-1:]}, flow)
	default:
		p.ratio(0, table[0])
	}
	return p.run(m)
}

// flowLevels are uniform in time from 1 down, shifted. A first σ of 1 is
// lowered to where ln(α/σ) is finite.
func (c *uniPC) flowLevels(p *planner, train int) (levels, error) {
	sigmas := make([]float64, p.Steps+1)
	linspace(sigmas, 1, 1/float64(train))
	sigmas = sigmas[:p.Steps]
	shift, err := flowShift(p, c.dynamicShift, c.FlowShift)
	if err != nil {
		return levels{}, err
	}
	for i, s := range sigmas {
		sigmas[i] = shift(s)
	}
	if c.ShiftTerminal != nil && *c.ShiftTerminal != 0 {
		stretch(sigmas, *c.ShiftTerminal)
	}
	const least = 1e-6
	if math.Abs(sigmas[0]-1) < least {
		sigmas[0] -= least
	}
	return levels{p.flowTimes(sigmas, train), sigmas}, nil
}

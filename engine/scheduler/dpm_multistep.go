package scheduler

import (
	"math"
	"sort"
)

// dpmMultistep is Lu et al., "DPM-Solver++" (2022), in its multistep form.
type dpmMultistep struct {
	betas
	zeroSNR
	prediction
	thresholding
	spacing
	dpmKeys
	sigmaKeys
	guestRange
	flowSigmas
	dynamicShift
	finalSigma
	EulerAtFinal     bool    `json:"euler_at_final"`
	UseLuLambdas     bool    `json:"use_lu_lambdas"`
	LambdaMinClipped float64 `json:"lambda_min_clipped"`
	VarianceType     *string `json:"variance_type"`
}

var dpmDefaults = dpmKeys{2, "dpmsolver++", "midpoint", true}

func newDPMMultistep() Class {
	return &dpmMultistep{betas: linearBetas(), prediction: epsilon, thresholding: noThreshold, spacing: spacing{"linspace", 0},
		dpmKeys: dpmDefaults, flowSigmas: flowSigmas{false, 1}, dynamicShift: dynamicShift{false, "exponential"},
		finalSigma: finalSigma{"zero"}, LambdaMinClipped: math.Inf(-1)}
}

// lastTime returns how many times lie at or above the limit of ln(α/σ).
func lastTime(table []float64, least float64) int {
	// ln(α/σ) falls with the time.
	return sort.Search(len(table), func(n int) bool { return -math.Log(table[n]) < least })
}

func (c *dpmMultistep) plan(p *planner) error {
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
	if m.options.Variable == "eps" && zero {
		return refuse("final_sigmas_type", "zero", "sigma_min with algorithm_type "+c.AlgorithmType)
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
	if c.UseLuLambdas && grid != "karras" { // Lu's grid with ρ = 1, uniform in λ
		grid = "exponential"
	}
	if err := p.flowFits(c.UseFlowSigmas, c.PredictionType, grid); err != nil {
		return err
	}
	var l levels
	switch {
	case grid != "":
		rounded := (grid == "karras" || c.UseLuLambdas) && c.BetaSchedule != "squaredcos_cap_v2"
		l, err = p.bySigma(grid, c.own().unless(c.UseLuLambdas), table, rounded)
	case c.UseFlowSigmas:
		l, err = p.byFlow(c.flowSigmas, c.dynamicShift, len(alphas))
	default:
		var times []float64
		times, err = c.times(p, spread{len(alphas), lastTime(table, c.LambdaMinClipped), p.Steps, true, true})
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
	return p.run(c.ends(m, len(l.times), zero || c.EulerAtFinal))
}

// learned refuses a variance that the network does not say; one that it says is left out here.
func learned(p *planner, kind *string) error {
	if kind == nil || p.Learnt && (*kind == learnedRange || *kind == "learned") {
		return nil
	}
	return refuse("variance_type", *kind, "null; the network does not learn a variance")
}

// unless leaves the range out.
func (r sigmaRange) unless(out bool) sigmaRange {
	if out {
		return sigmaRange{}
	}
	return r
}

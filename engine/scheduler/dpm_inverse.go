package scheduler

import (
	"math"
	"slices"
)

// dpmInverse runs DPM-Solver++ from the least noisy time to the noisiest.
type dpmInverse struct {
	betas
	prediction
	thresholding
	spacing
	dpmKeys
	sigmaKeys
	guestRange
	flowSigmas
	EulerAtFinal     bool    `json:"euler_at_final"`
	LambdaMinClipped float64 `json:"lambda_min_clipped"`
	VarianceType     *string `json:"variance_type"`
}

func newDPMInverse() Class {
	return &dpmInverse{betas: linearBetas(), prediction: epsilon, thresholding: noThreshold, spacing: spacing{"linspace", 0},
		dpmKeys: dpmDefaults, flowSigmas: flowSigmas{false, 1}, LambdaMinClipped: math.Inf(-1)}
}

func (c *dpmInverse) plan(p *planner) error {
	if err := learned(p, c.VarianceType); err != nil {
		return err
	}
	m, err := c.method()
	if err != nil {
		return err
	}
	if m.stochastic() {
		return refuse("algorithm_type", c.AlgorithmType, "dpmsolver++ or dpmsolver; only deterministic samplers run backwards")
	}
	if c.UseFlowSigmas {
		return refuse("use_flow_sigmas", true, "false: diffusers' grid for it falls instead of rising")
	}
	if err := p.limit(clipping{}, c.thresholding); err != nil {
		return err
	}
	alphas, err := p.discrete(c.betas, false, c.PredictionType)
	if err != nil {
		return err
	}
	table := p.tableOf(alphas)
	grid, err := c.kind()
	if err != nil {
		return err
	}
	if err := p.flowFits(false, c.PredictionType, grid); err != nil {
		return err
	}
	last := lastTime(table, c.LambdaMinClipped)
	if last < 1 {
		return errNoTimes
	}
	var l levels
	if grid != "" {
		l, err = p.bySigma(grid, c.own(), table, grid == "karras")
		l = l.reversed()
	} else {
		var times []float64
		times, err = c.ascending(p, len(alphas), last)
		l = byTime(times, table)
	}
	if err != nil {
		return err
	}
	// Of equal times diffusers drops all but the first, and with them as many
	// noise levels from the end. It looks for them before it cuts times off.
	if unique := slices.Compact(slices.Clone(l.times)); grid != "exponential" && grid != "beta" && len(unique) < len(l.times) && !p.correct(droppedTimes) {
		end := levels{l.times[len(unique):][:1], l.sigmas[len(unique):][:1]}
		l = levels{unique, l.sigmas[:len(unique)]}
		p.solverPoints(l, false)
		p.solverPoints(end, false)
	} else {
		p.solverPoints(l, false)
		if grid != "" {
			p.ratio(l.times[len(l.times)-1], l.sigmas[len(l.sigmas)-1])
		} else {
			p.ratio(float64(last-1), table[last-1])
		}
	}
	return p.run(c.ends(m, len(p.points)-1, c.EulerAtFinal))
}

// ascending are the times from 0 up; linspace and leading leave the last out.
func (c *dpmInverse) ascending(p *planner, train, last int) ([]float64, error) {
	n := p.Steps
	times := make([]float64, n+1)
	switch c.TimestepSpacing {
	case "linspace":
		linspace(times, 0, float64(last-1))
		for i, t := range times {
			times[i] = math.RoundToEven(t)
		}
		times = times[:n]
	case "leading":
		for i := range times {
			times[i] = float64(i*(last/(n+1)) + c.StepsOffset)
		}
		times = times[:n]
	case "trailing":
		times, err := c.times(p, spread{train: train, last: last, steps: n})
		slices.Reverse(times)
		return times, err
	default:
		return nil, refuse("timestep_spacing", c.TimestepSpacing, "leading, linspace or trailing")
	}
	return times, within(times, train)
}

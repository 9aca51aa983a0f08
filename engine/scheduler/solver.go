package scheduler

import (
	"math"
	"slices"
	"strings"

	"fluxion/engine/sampler"
)

// The solvers in log-SNR (DPM-Solver, UniPC, DEIS) share the way from keys to
// noise levels.

type flowSigmas struct {
	UseFlowSigmas bool    `json:"use_flow_sigmas"`
	FlowShift     float64 `json:"flow_shift"`
}

type dynamicShift struct {
	UseDynamicShifting bool   `json:"use_dynamic_shifting"`
	TimeShiftType      string `json:"time_shift_type"`
}

type finalSigma struct {
	FinalSigmasType string `json:"final_sigmas_type"`
}

func (f finalSigma) zero() (bool, error) {
	switch f.FinalSigmasType {
	case "zero", "sigma_min":
		return f.FinalSigmasType == "zero", nil
	}
	return false, refuse("final_sigmas_type", f.FinalSigmasType, "zero or sigma_min")
}

type dpmKeys struct {
	SolverOrder     int    `json:"solver_order"`
	AlgorithmType   string `json:"algorithm_type"`
	SolverType      string `json:"solver_type"`
	LowerOrderFinal bool   `json:"lower_order_final"`
}

// method returns the multistep solver. firstAtEnd asks for a first order there.
func (d dpmKeys) method() (method, error) {
	o := sampler.Options{Order: d.SolverOrder, Solver: d.SolverType, Variable: "x"}
	stochastic := false
	switch d.AlgorithmType {
	case "dpmsolver++", "deis": // diffusers takes the one for the other
	case "sde-dpmsolver++":
		stochastic = true
	case "dpmsolver":
		o.Variable = "eps"
	case "sde-dpmsolver":
		o.Variable, stochastic = "eps", true
	default:
		return method{}, refuse("algorithm_type", d.AlgorithmType, "dpmsolver++, sde-dpmsolver++, dpmsolver or sde-dpmsolver")
	}
	switch d.SolverType {
	case "midpoint", "heun":
	case "logrho", "bh1", "bh2":
		o.Solver = "midpoint" // as diffusers takes it
	default:
		return method{}, refuse("solver_type", d.SolverType, "midpoint or heun")
	}
	name := map[int]string{1: "dpm++-2m", 2: "dpm++-2m", 3: "dpm++-3m"}[d.SolverOrder]
	if name == "" {
		return method{}, refuse("solver_order", d.SolverOrder, "1, 2 or 3")
	}
	if stochastic {
		name += "-sde"
	}
	return method{name: name, options: o}, nil
}

func (m method) stochastic() bool { return strings.HasSuffix(m.name, "-sde") }

// ends says how the last of some steps are made.
func (d dpmKeys) ends(m method, steps int, firstAtEnd bool) method {
	m.options.LowerOrderFinal = d.LowerOrderFinal && steps < 15
	m.options.FirstOrderFinal = firstAtEnd
	return m
}

// levels are what the shared keys give: times and σ/α, or σ on the flow path.
type levels struct{ times, sigmas []float64 }

func (l levels) reversed() levels {
	slices.Reverse(l.times)
	slices.Reverse(l.sigmas)
	return l
}

// byTime takes the noise levels of times that the network knows.
func byTime(times, table []float64) levels {
	l := levels{times: times}
	for _, n := range times {
		l.sigmas = append(l.sigmas, interpolate(table, n))
	}
	return l
}

// whole makes times whole where diffusers hands them to the network as integers:
// rounded, or by compat cut off as there.
func (p *planner) whole(times []float64, rounded bool) {
	for i, n := range times {
		cut := math.Trunc(n)
		if rounded {
			cut = math.RoundToEven(n)
		}
		if near := math.RoundToEven(n); cut != near && p.correct(cutTime) {
			cut = near
		}
		times[i] = cut
	}
}

// bySigma makes a grid between the ends of the table, and its times.
func (p *planner) bySigma(kind string, r sigmaRange, table []float64, rounded bool) (levels, error) {
	sigmas, err := r.grid(kind, table[len(table)-1], table[0], p.Steps)
	if err != nil {
		return levels{}, err
	}
	l := levels{sigmas: sigmas}
	for _, s := range sigmas {
		l.times = append(l.times, timeOf(s, table))
	}
	p.whole(l.times, rounded)
	return l, nil
}

// byFlow is the grid of the DPM-Solvers and DEIS on the flow path: uniform in
// time from 1 − 1/N down, shifted. diffusers cuts the times off at integers.
func (p *planner) byFlow(f flowSigmas, d dynamicShift, train int) (levels, error) {
	shift := f.FlowShift
	if d.UseDynamicShifting && d.TimeShiftType != "exponential" {
		return levels{}, refuse("time_shift_type", d.TimeShiftType, "exponential")
	}
	// Without μ, flow_shift stands, as in diffusers.
	if d.UseDynamicShifting && p.mu() != nil {
		shift = math.Exp(*p.Mu)
	}
	up := make([]float64, p.Steps+1)
	linspace(up, 1, 1/float64(train))
	sigmas := make([]float64, 0, p.Steps)
	for i := p.Steps; i > 0; i-- {
		s := 1 - up[i]
		sigmas = append(sigmas, shift*s/(1+(shift-1)*s))
	}
	return levels{p.flowTimes(sigmas, train), sigmas}, nil
}

// flowTimes are N σ, which diffusers' solvers cut off at integers.
func (p *planner) flowTimes(sigmas []float64, train int) []float64 {
	times := make([]float64, len(sigmas))
	for i, s := range sigmas {
		n := float64(train) * s
		if cut := math.Trunc(n); cut != n && !p.correct(cutTime) {
			n = cut
		}
		times[i] = n
	}
	return times
}

// solverPoints places levels on the grid: on the flow path, or variance
// preserving.
func (p *planner) solverPoints(l levels, flow bool) {
	for i, s := range l.sigmas {
		if flow {
			p.flow(l.times[i], s)
		} else {
			p.ratio(l.times[i], s)
		}
	}
}

// flowFits checks that the output and the path belong together.
func (p *planner) flowFits(flow bool, prediction string, grid string) error {
	switch {
	case flow && prediction == "v_prediction":
		return refuse("prediction_type", prediction, "flow_prediction, epsilon or sample beside use_flow_sigmas; v is of variance-preserving schedules")
	case !flow && prediction == "flow_prediction":
		return refuse("prediction_type", prediction, "epsilon, sample or v_prediction, or use_flow_sigmas = true")
	case flow && grid != "":
		return refuse("use_"+grid+"_sigmas", true, "false beside use_flow_sigmas: diffusers takes noise levels above 1 for the flow's")
	}
	return nil
}

// tableOf returns σ/α of each step, the last one finite.
func (p *planner) tableOf(alphas []float64) []float64 {
	if last := len(alphas) - 1; alphas[last] == 0 {
		alphas = slices.Clone(alphas)
		alphas[last] = tinyTerminal
	}
	return ratios(alphas)
}

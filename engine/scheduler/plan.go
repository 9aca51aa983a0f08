package scheduler

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// Options of a run.
type Options struct {
	Steps  int
	Compat Compat   // what of diffusers is repeated
	Begin  int      // entry of the grid at which the run begins: image to image
	Eta    *float64 // of DDIM and TCD; nil is diffusers' default: 0 and 0.3
	Churn  Churn    // of EulerDiscreteScheduler and EDMEulerScheduler
	Mu     *float64 // of dynamic shifting: how much
	Tokens int      // or of how many tokens the image is, from which μ follows
	Learnt bool     // the network says the variance of each step
	Drawn  bool     // the run begins with noise that is drawn for it, not with a state that is given: see Plan.Start
}

// Plan is a scheduler config resolved for a number of steps.
type Plan struct {
	Class  string
	Method string
	Output string // eps, x, v, u or edm, as in package process; consistency, −u and −edm beside them

	// Rows are those of any sampler (package sampler), with one thing more: where
	// x̂ is limited, the network's output is changed to agree with the limited x̂
	// before it is used, and Excess times the change of x̂ is added to z'. Excess
	// has an entry for each row: 0 unless x̂ is z itself, or by a defect of
	// diffusers' DDIM.
	Rows   []sampler.Row
	Limit  Limit
	Excess []float64

	Start float64       // what the first noise is multiplied by
	End   process.Point // where the last row ends

	Corrected []Departure // of diffusers, that make a difference here and are left out
	Repeated  []Departure // and that are repeated
	Unused    []string    // keys that the class does not have
}

// Plan resolves the config. Errors of what it says are *FileError, others are of the
// options.
func (c Config) Plan(o Options) (Plan, error) {
	if err := sampler.CheckSteps(o.Steps); err != nil {
		return Plan{}, fmt.Errorf("scheduler config: %s: %w", c.Name, err)
	}
	p := &planner{Options: o, Plan: Plan{Class: c.Name, Unused: c.Unused}}
	err := c.Class.plan(p)
	var undetermined process.Undetermined
	predicts, _ := c.Class.(interface{ predicts() string })
	private := c.Private["output"]
	switch {
	case predicts != nil && predicts.predicts() == unknown:
		err = fmt.Errorf("no class of diffusers has schedule %v with output %v; fluxion trace --schedule %[1]v --output %[2]v runs it", c.Private["schedule"], private)
	case predicts != nil && errors.As(err, &undetermined):
		err = fmt.Errorf("prediction_type = %q is not supported at all of these noise levels, want another: %w", predicts.predicts(), err)
	case err != nil:
	case private != nil && private != p.Output:
		err = fmt.Errorf("_fluxion_output = %v, which the class does not know and would take for %s; want %[2]s, or fluxion trace --schedule fm --output %[1]v", private, p.Output)
	case o.Eta != nil && !p.etaRead:
		err = errors.New("it takes no η; DDIMScheduler and TCDScheduler do")
	case o.Churn != Churn{} && !p.churnRead:
		err = errors.New("it takes no churn; EulerDiscreteScheduler and EDMEulerScheduler do")
	case o.Mu != nil && !p.muRead:
		err = errors.New("it takes no μ; schedulers on the flow path with use_dynamic_shifting = true do")
	case o.Tokens != 0 && !p.muRead:
		err = errors.New("it takes no number of image tokens; FlowMatchEulerDiscreteScheduler with use_dynamic_shifting = true does")
	case o.Begin != 0 && !p.beginRead:
		err = errors.New("it begins at the first entry of its grid only; most others, such as DDIMScheduler, can begin later")
	}
	if err == nil {
		err = p.finite()
	}
	if err == nil {
		p.Plan.Start = p.start(c.Class)
	}
	if err != nil {
		wrapped := fmt.Errorf("scheduler config: %s: %w", c.Name, err)
		if key := (*KeyError)(nil); errors.As(err, &key) || errors.As(err, &undetermined) {
			wrapped = &FileError{Err: wrapped}
		}
		return Plan{}, wrapped
	}
	return p.Plan, nil
}

// planner collects what a class resolves to.
type planner struct {
	Options
	Plan

	points    []process.Point
	row       func(q process.Point) (a, b float64) // y = a x + b ε
	clock     func(n, sigma float64) float64       // t of a call that is told n, at a noise level
	input     func(q process.Point) float64        // the network sees input·z
	raised    []raised                             // intervals that begin with more noise; none or all
	from, to  map[int]process.Point                // where a compatible interval leaves from and goes to
	etaRead   bool                                 // whether the class took these options
	muRead    bool
	churnRead bool
	beginRead bool
}

// correct records a departure of diffusers that makes a difference to this plan
// and reports whether it is to be left out.
func (p *planner) correct(d Departure) bool {
	repeat := p.Compat == Diffusers || p.Compat == Right && d.Convention
	list := &p.Corrected
	if repeat {
		list = &p.Repeated
	}
	if !slices.Contains(*list, d) {
		*list = append(*list, d)
	}
	return !repeat
}

// finite refuses rows that no state survives.
func (p *planner) finite() error {
	for i, r := range p.Rows {
		sum := r.A + r.C + r.Recall + r.Call.NetworkTime + r.Call.Input + r.Keep.Z + r.Keep.Y
		for _, b := range r.B {
			sum += b
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return fmt.Errorf("step %d has an infinite coefficient: these numbers leave no noise, or nothing else, at its ends", i)
		}
	}
	return nil
}

func (p *planner) eta(usual *float64) *float64 {
	p.etaRead = true
	if p.Options.Eta != nil {
		return p.Options.Eta
	}
	return usual
}

func (p *planner) mu() *float64 {
	p.muRead = true
	return p.Mu
}

// prediction is the key that says what the network gives.
type prediction struct {
	PredictionType string `json:"prediction_type"`
}

var epsilon = prediction{"epsilon"}

// discrete reads a class's βs and output: ᾱ of every step.
func (p *planner) discrete(b betas, zero bool, prediction string, schedules ...string) ([]float64, error) {
	if prediction == "flow_prediction" {
		return nil, refuse("prediction_type", prediction, "epsilon, sample or v_prediction")
	}
	return p.discreteOrFlow(b, zero, prediction, schedules...)
}

// discreteOrFlow is the same for classes that know the flow path, too.
func (p *planner) discreteOrFlow(b betas, zero bool, prediction string, schedules ...string) ([]float64, error) {
	if err := p.output(prediction); err != nil {
		return nil, err
	}
	p.clock = func(n, _ float64) float64 { return (n + 1) / float64(b.NumTrainTimesteps) }
	return b.cumulated(zero, schedules...)
}

// outputs are diffusers' names of what a network gives, and invertedFlow, which
// is none: the velocity from noise to data.
var outputs = map[string]struct {
	name string
	row  func(q process.Point) (a, b float64)
}{
	"epsilon": {"eps", func(process.Point) (float64, float64) { return 0, 1 }},
	"sample":  {"x", func(process.Point) (float64, float64) { return 1, 0 }},
	// v of the variance-preserving scale, whatever the scale of z.
	"v_prediction": {"v", func(q process.Point) (float64, float64) {
		n := math.Hypot(q.Alpha, q.Sigma)
		return -q.Sigma / n, q.Alpha / n
	}},
	"flow_prediction": {"u", func(process.Point) (float64, float64) { return -1, 1 }},
	invertedFlow:      {"-u", func(process.Point) (float64, float64) { return 1, -1 }},
}

const invertedFlow = "inverted flow_prediction"

// output sets what the network gives at every point.
func (p *planner) output(prediction string) error {
	o, ok := outputs[prediction]
	if !ok {
		return refuse("prediction_type", prediction, "epsilon, sample, v_prediction, or flow_prediction beside use_flow_sigmas")
	}
	p.Output, p.row = o.name, o.row
	for i, q := range p.points {
		p.points[i].A, p.points[i].B = p.row(q)
	}
	return nil
}

// edm sets Karras et al.'s preconditioned output, of which diffusers knows one
// sign as epsilon and the other as v_prediction.
func (p *planner) edm(prediction string, data float64) {
	edm, sign := process.EDM("edm", data), 1.0
	p.Output, p.input = "edm", edm.Input
	if prediction == "v_prediction" {
		p.Output, sign = "-edm", -1
	}
	p.row = func(q process.Point) (float64, float64) {
		a, b := edm.Row(q)
		return sign * a, sign * b
	}
}

// add appends a point and completes it.
func (p *planner) add(q process.Point) {
	q.LogSNR = 2 * (math.Log(q.Alpha) - math.Log(q.Sigma))
	q.Input = 1
	if p.input != nil {
		q.Input = p.input(q)
	}
	q.A, q.B = p.row(q)
	p.points = append(p.points, q)
}

// preserving adds a point of given ᾱ.
func (p *planner) preserving(n, cumulated float64) {
	p.add(process.Point{Time: p.clock(n, 0), NetworkTime: n, Alpha: math.Sqrt(cumulated), Sigma: math.Sqrt(1 - cumulated)})
}

// ratio adds a variance-preserving point of given σ/α.
func (p *planner) ratio(n, sigma float64) {
	alpha := 1 / math.Sqrt(sigma*sigma+1)
	p.add(process.Point{Time: p.clock(n, sigma), NetworkTime: n, Alpha: alpha, Sigma: sigma * alpha})
}

// flow adds a point of the flow path.
func (p *planner) flow(n, sigma float64) {
	p.add(process.Point{Time: sigma, NetworkTime: n, Alpha: 1 - sigma, Sigma: sigma})
}

// vary adds a point of z = x + σε, which the network sees at the scale of the
// variance-preserving one, unless the output has another.
func (p *planner) vary(n, sigma float64) {
	if p.input == nil {
		p.input = func(q process.Point) float64 { return 1 / math.Hypot(q.Alpha, q.Sigma) }
	}
	p.add(process.Point{Time: p.clock(n, sigma), NetworkTime: n, Alpha: 1, Sigma: sigma})
}

// logClock is t of schedules whose ln σ is linear in it, between two levels.
func logClock(first, last float64) func(n, sigma float64) float64 {
	return func(_, sigma float64) float64 { return math.Log(sigma/first) / math.Log(last/first) }
}

// data adds the end, where there is no noise.
func (p *planner) data() { p.add(process.Point{Alpha: 1}) }

// end adds the data, or the level of time 0.
func (p *planner) end(one bool, alphas []float64) {
	if one {
		p.data()
	} else {
		p.preserving(0, alphas[0])
	}
}

// boundary adds a point of a consistency model: x̂ = c_skip z + c_out y with
// x̂ = z at σ_min.
func (p *planner) boundary(n, sigma, least, data float64) {
	skip := data * data / ((sigma-least)*(sigma-least) + data*data)
	out := (sigma - least) * data / math.Hypot(sigma, data)
	p.Output = "consistency"
	p.input = func(q process.Point) float64 { return 1 / math.Hypot(q.Sigma, data) }
	p.row = func(process.Point) (float64, float64) { return (1 - skip) / out, -skip * sigma / out }
	p.add(process.Point{Time: p.clock(n, sigma), NetworkTime: n, Alpha: 1, Sigma: sigma})
}

// at is the point of a time, or the end before time 0.
func (p *planner) at(alphas []float64, n int, end process.Point) process.Point {
	if n < 0 {
		return end
	}
	p.preserving(float64(n), alphas[n])
	q := p.points[len(p.points)-1]
	p.points = p.points[:len(p.points)-1]
	return q
}

// aim lets interval i of a falling grid go to time n.
func (p *planner) aim(i int, alphas []float64, n int) {
	if p.to == nil {
		p.to = map[int]process.Point{}
	}
	p.to[i] = p.at(alphas, n, p.points[len(p.points)-1])
}

// leave lets interval i of a rising grid leave from the level of time n.
func (p *planner) leave(i int, alphas []float64, n int) {
	if p.from == nil {
		p.from = map[int]process.Point{}
	}
	q := p.at(alphas, n, p.points[0])
	q.NetworkTime = p.points[i].NetworkTime
	p.from[i] = q
}

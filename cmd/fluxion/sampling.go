package main

import (
	"fmt"
	"math"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/engine/generate"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/trace"
	"fluxion/kernels/update"

	"github.com/spf13/pflag"
)

// samplingFlags say along which schedule, on which grid and by which sampler a
// run goes, with a network or without.
type samplingFlags struct {
	config              trace.Config
	churn, eta, epsilon float64
	flags               *pflag.FlagSet
}

// addSchedule adds the flags of the schedule; the help of its name is the command's.
func (o *samplingFlags) addSchedule(f *pflag.FlagSet, name, help string) {
	o.flags = f
	m := &o.config.Modifiers
	f.StringVar(&o.config.Schedule, "schedule", name, help+strings.Join(process.Schedules(), ", "))
	f.Float64Var(&m.MaxLogSNR, "clip-lambda", 0, "keep |λ| at or below this; 0 does not")
	f.Float64Var(&m.Shift, "shift", 1, "for resolutions: λ → λ + 2 ln SHIFT (diffusers' flow shift is the inverse)")
	f.StringVar(&m.Scale, "scale", "", "a positive formula of t that multiplies α and σ, such as 1+t")
	f.BoolVar(&m.ZeroSNR, "zero-snr", false, "rescale the schedule to end without data")
}

// addSampler adds the flags of the grid and the sampler.
func (o *samplingFlags) addSampler(f *pflag.FlagSet, name string, steps int) {
	p := &o.config.Options
	f.StringVar(&p.Grid, "grid", "uniform", "a name, or t:1,0.5,0 or sigma:… or lambda:…; names are "+strings.Join(sampler.Grids(), ", "))
	f.IntVar(&p.Steps, "steps", steps, "intervals of a grid by name")
	f.StringVar(&o.config.Sampler, "sampler", name, "one of "+strings.Join(sampler.Names(), ", "))
}

// addOptions adds what only some samplers take.
func (o *samplingFlags) addOptions(f *pflag.FlagSet, tolerance string) {
	p := &o.config.Options
	f.Float64Var(&o.churn, "churn", 0, "of churn (its share c) and edm-churn (S_churn)")
	f.Float64Var(&o.eta, "eta", 0, "share of noise; its default is the sampler's")
	f.Float64Var(&o.epsilon, "epsilon", 0, "of sde, in interpolant form")
	f.IntVar(&p.Order, "order", 0, "of methods that have several")
	f.StringVar(&p.Variable, "variable", "", "in which a method interpolates: x, eps, v, u")
	f.StringVar(&p.Solver, "solver", "", "variant of a method: midpoint or heun, bh2 or bh1, prk or plms")
	f.StringVar(&p.Variance, "variance", "", "of ddpm: small or large")
	f.Float64Var(&p.NoiseMin, "noise-min", 0, "σ/α from which edm-churn adds noise")
	f.Float64Var(&p.NoiseMax, "noise-max", 0, "σ/α up to which edm-churn adds noise; 0: everywhere")
	f.Float64Var(&p.NoiseScale, "noise-scale", 0, "factor on edm-churn's noise; 0 is 1")
	f.BoolVar(&p.LowerOrderFinal, "lower-order-final", false, "end multistep methods with lower orders")
	f.BoolVar(&p.FirstOrderFinal, "first-order-final", false, "end multistep methods with one step of first order")
	f.Float64Var(&p.Tolerance, "tolerance", 0, "of rk45, relative and absolute; 0 is "+tolerance)
}

// resolve settles the options: those that were not given are the sampler's own.
func (o *samplingFlags) resolve() error {
	p := &o.config.Options
	if o.config.Modifiers.Shift == 0 { // which for package process is none
		return fault.Usagef("--shift 0: want a positive number; 1 is none")
	}
	for name, place := range map[string]struct {
		value  *float64
		option **float64
	}{
		"churn": {&o.churn, &p.Churn}, "eta": {&o.eta, &p.Eta}, "epsilon": {&o.epsilon, &p.Epsilon},
	} {
		if o.flags.Changed(name) {
			*place.option = place.value
		}
	}
	// A list has its own number of steps.
	if kind, list, _ := strings.Cut(p.Grid, ":"); list != "" && !strings.Contains(list, "=") && (kind == "t" || kind == "sigma" || kind == "lambda") && !o.flags.Changed("steps") {
		p.Steps = 0
	}
	return nil
}

// along returns the process of a network sampled along the schedule of the
// command line: its own, or another, modified.
func (o *samplingFlags) along(p process.Process) (process.Process, error) {
	var s process.Schedule
	var err error
	c := o.config
	switch m := c.Modifiers; {
	case c.Schedule != "":
		s, err = process.GetSchedule(c.Schedule, m)
	case m.ZeroSNR || m.Shift != 1 || m.MaxLogSNR != 0 || m.Scale != "":
		s, err = process.Modify(p.Schedule, m)
	default:
		return p, nil
	}
	if err != nil {
		return p, err
	}
	return p.Under(s), nil
}

// samplingRun is a table, or a sampler that has none.
type samplingRun struct {
	table    sampler.Table
	slots    int // that the table needs
	adaptive *generate.Adaptive
	by       *schedulerRun // whose table it is; nil: a sampler's
}

// planSampling plans a run on a network.
func planSampling(s sampler.Sampler, p process.Process, o sampler.Options) (samplingRun, error) {
	if s.Adaptive {
		if _, err := s.Check(o); err != nil {
			return samplingRun{}, err
		}
		g, err := sampler.NewGrid(p, o)
		if o.Tolerance == 0 {
			o.Tolerance = 1e-4 // a float32 network is not smoother
		}
		return samplingRun{adaptive: &generate.Adaptive{Sampler: s, Grid: g, Options: o}}, err
	}
	table, err := s.Plan(p, o)
	if err != nil {
		return samplingRun{}, err
	}
	memory, err := table.Memory(update.MaxHistory)
	return samplingRun{table: table, slots: memory.Slots}, err
}

// begin is where the network is called first.
func (r samplingRun) begin() process.Point {
	if r.adaptive != nil {
		return r.adaptive.Grid.Points[0]
	}
	return r.table.Rows[0].Call
}

// note says, if need be, that a run begins where the network's output tells
// little of the image, as ε does beside pure noise, and what is done about it.
func (r samplingRun) note(clipped bool) string {
	q := r.begin()
	if !q.Limits() {
		return ""
	}
	errors := errorsAt(q)
	if clipped {
		return "the predicted image is clipped to the range of pixels: it begins " + errors + "; --clip=false leaves it as it is"
	}
	return "the predicted image begins " + errors + "; --clip bounds it, --grid lambda:max=20 begins later"
}

// errorsAt says how the predicted image begins at a point.
func errorsAt(q process.Point) string {
	if factor := q.ErrorFactor(); !math.IsInf(factor, 1) {
		return fmt.Sprintf("with the network's errors times %.0f", factor)
	}
	return "without telling anything of it"
}

// schedule is the name of what the run goes along.
func (r samplingRun) schedule() string {
	if r.adaptive != nil {
		return r.adaptive.Grid.Process.Schedule.Name()
	}
	return r.table.Grid.Process.Schedule.Name()
}

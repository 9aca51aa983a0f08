package main

import (
	"fmt"
	"math"
	"strings"

	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data/setting"
	"fluxion/engine/generate"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/trace"
	"fluxion/kernels/update"
)

// samplingFlags say along which schedule, on which grid and by which sampler a
// run goes, with a network or without.
type samplingFlags struct {
	config  trace.Config
	sources *settings.Sources
}

// schedule declares the settings of the schedule. To train they say what a model is
// trained along, so that no variable of the environment sets them here.
func (o *samplingFlags) schedule() setting.List {
	m := &o.config.Modifiers
	m.Shift = 1
	return process.ScheduleSettings(&o.config.Schedule, &m.MaxLogSNR, &m.Shift, &m.ZeroSNR, &m.Scale).OwnKeys()
}

// resolve settles the options.
func (o *samplingFlags) resolve() {
	p := &o.config.Options
	// A list has its own number of steps.
	if kind, list, _ := strings.Cut(p.Grid, ":"); list != "" && !strings.Contains(list, "=") && (kind == "t" || kind == "sigma" || kind == "lambda") && !o.sources.Has("steps") {
		p.Steps = 0
	}
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
	if err == nil && !p.Bridge.None() {
		err = fmt.Errorf("a model with a bridge (%v) samples along its own schedule alone; want no --schedule, nor what modifies it", p.Bridge)
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
	switch {
	case q.Flows && clipped:
		return "--clip changes nothing: the model says where the flow of its bridge goes, and predicts no image on the way"
	case q.Flows || !q.Limits():
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

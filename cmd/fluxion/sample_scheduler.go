package main

import (
	"fmt"
	"math"
	"slices"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/fetch"
	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/engine/scheduler"
	"fluxion/kernels/update"
)

// ownScheduler is the --scheduler that is the model's own.
const ownScheduler = "model"

// saidOfLimits are the settings of what a scheduler config says of limits of x̂.
var saidOfLimits = []string{"clip", "dynamic_threshold"}

// schedulerRun is a run by a scheduler config.
type schedulerRun struct {
	config scheduler.Config
	plan   scheduler.Plan
	excess []float64 // of generate.Request; nil where limits leave nothing behind
	clip   float64   // largest |x̂|, 0 for any
	note   string    // what seems wrong
}

// planScheduler plans a run of the model by the scheduler config.
func (o *sampleOptions) planScheduler(m *model.Model) (samplingRun, error) {
	path := o.scheduler
	if path == ownScheduler {
		path = m.Root
	}
	if err := fetch.Here("--scheduler", path); err != nil {
		return samplingRun{}, err
	}
	config, err := scheduler.Open(path, o.ignore...)
	if err != nil {
		return samplingRun{}, schedulerError{path, err}
	}
	options := o.schedulerFlags.options(&o.samplingFlags)
	options.Drawn, options.Learnt = true, m.Network.Spec().Variance
	if options.Begin, err = o.entry(options.Steps); err != nil {
		return samplingRun{}, fault.Usage(err)
	}
	plan, err := planned(path, config, options)
	if err != nil {
		return samplingRun{}, err
	}
	refused := func(format string, args ...any) (samplingRun, error) {
		return samplingRun{}, fault.Usagef("--scheduler %s: %s %s", o.scheduler, plan.Class, fmt.Sprintf(format, args...))
	}
	switch output := m.Process.Output.Name; {
	case plan.Output == "consistency":
		return refused("runs networks that were distilled to jump to the data, and this one gives %s; want another class", output)
	case !plan.Denoises():
		return refused("goes from data to noise, where sample begins with noise; want another class, or fluxion trace")
	case plan.Output != output:
		return refused("takes what the network gives for %s, and this one gives %s; want a config with its prediction_type, as in the model's own: --scheduler model", plan.Output, output)
	}
	by := &schedulerRun{config: config, plan: plan, note: mistimed(m.Process, plan)}
	switch l := plan.Limit; {
	case l.Ratio != 0 && l.Most != 1:
		return refused("has sample_max_value = %g, and on networks thresholding reaches to 1 only; want 1, or thresholding = false", l.Most)
	case l.Ratio != 0:
		by.clip = 1 // a quantile from 1 to 1
	default:
		by.clip = l.Clip
	}
	if by.clip != 0 && by.clip != 1 && m.Network.Spec().Estimate {
		return refused("has clip_sample_range = %g, and this network is given its last estimate, which is in ±1; want 1, or clip_sample = false", by.clip)
	}
	if by.clip != 0 && slices.ContainsFunc(plan.Excess, func(e float64) bool { return e != 0 }) {
		if o.rescale != 0 || o.guide != "" {
			return refused("keeps what the network said of the noise before x̂ is clipped, which goes together neither with --guidance-rescale nor with --guide; want clip_sample = false, or --compat none")
		}
		by.excess = plan.Excess
	}
	table := plan.Table()                                 // parts of a picture are kept behind every call, as in diffusers' inpainting
	table.Grid.Points[len(table.Grid.Points)-1].Alpha = 1 // pixels are the last state as it is, as in diffusers
	most := update.MaxHistory
	if by.excess != nil {
		most--
	}
	memory, err := table.Memory(most)
	if err != nil {
		return refused("does not run on networks: %v", err)
	}
	return samplingRun{table: table, slots: memory.Slots, by: by}, nil
}

// mistimed says where most calls tell the network a time that is not that of their
// noise level in training, as with another's βs; "" if they do not.
func mistimed(trained process.Process, plan scheduler.Plan) string {
	s := trained.Schedule
	// Of a network's times from one end to the other. Conventions of diffusers are off by less.
	const most = 0.05
	low, high := trained.At(0).NetworkTime, trained.At(1).NetworkTime
	if math.IsInf(low, 0) || math.IsInf(high, 0) {
		return ""
	}
	wrong, note := 0, ""
	for _, row := range plan.Rows {
		q := row.Call
		own := trained.AtLogSNR(min(max(q.LogSNR, s.LogSNR(1)), s.LogSNR(0))).NetworkTime
		if math.Abs(own-q.NetworkTime) <= most*math.Abs(high-low) {
			continue
		}
		if wrong++; note == "" {
			note = fmt.Sprintf("at σ/α = %.3g this scheduler tells the network time %.4g, in training that was %.4g; are its βs the model's?", q.Sigma/q.Alpha, q.NetworkTime, own)
		}
	}
	if 2*wrong <= len(plan.Rows) {
		return ""
	}
	return note
}

// notes are what a user should know of the run.
func (r *schedulerRun) notes(begin process.Point) []string {
	notes := append([]string{}, shownOf(r.plan).lines()...)
	for i, line := range notes {
		notes[i] = r.plan.Class + ": " + line
	}
	if r.note != "" {
		notes = append(notes, r.note)
	}
	if begin.Limits() && r.clip == 0 {
		notes = append(notes, "the predicted image begins "+errorsAt(begin)+", and this config does not bound it (clip_sample, thresholding)")
	}
	return notes
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"fluxion/engine/scheduler"
	"fluxion/engine/trace"
)

// shownScheduler is what there is to say of a scheduler config beside the run.
type shownScheduler struct {
	Class     string   `json:"class"`
	Output    string   `json:"output"`
	Corrected []string `json:"corrected"` // departures of diffusers that were left out
	Repeated  []string `json:"repeated"`  // and those that were repeated
	Unused    []string `json:"unused"`    // keys that the class does not have
}

func (t *shownScheduler) show(out io.Writer) {
	for _, l := range []struct {
		about string
		names []string
	}{{"departures of diffusers left out", t.Corrected}, {"departures of diffusers repeated", t.Repeated}, {"keys without effect", t.Unused}} {
		if len(l.names) > 0 {
			fmt.Fprintf(out, "%s: %s\n", l.about, strings.Join(l.names, ", "))
		}
	}
}

// saidByScheduler are the flags of what a scheduler config says.
var saidByScheduler = []string{"schedule", "clip-lambda", "shift", "scale", "zero-snr", "grid", "sampler", "invert", "epsilon", "order",
	"variable", "solver", "variance", "lower-order-final", "first-order-final", "tolerance"}

// runScheduler runs a scheduler config.
func (o *traceOptions) runScheduler(ctx context.Context, out io.Writer) error {
	for _, name := range saidByScheduler {
		if o.flags.Changed(name) {
			return usagef("--%s beside --scheduler, whose config says it; want one of the two", name)
		}
	}
	config, err := scheduler.Open(o.scheduler, o.ignore...)
	if err != nil {
		return modelError{o.scheduler, err}
	}
	options := scheduler.Options{Steps: o.config.Options.Steps, Compat: scheduler.Compats[o.compat], Begin: o.config.Options.Begin, Tokens: o.tokens}
	if c := o.config.Options; o.flags.Changed("churn") || c.NoiseMin != 0 || c.NoiseMax != 0 || c.NoiseScale != 0 {
		options.Churn = scheduler.Churn{Amount: o.churn, Min: c.NoiseMin, Max: c.NoiseMax, Scale: c.NoiseScale}
	}
	if o.flags.Changed("eta") {
		options.Eta = &o.eta
	}
	if o.flags.Changed("mu") {
		options.Mu = &o.mu
	}
	plan, err := config.Plan(options)
	if fault := (*scheduler.FileError)(nil); errors.As(err, &fault) {
		return modelError{o.scheduler, err}
	}
	if err != nil {
		return usageError{err}
	}
	if o.flags.Changed("output") && o.config.Output != plan.Output {
		return usagef("--output %s, where the config's network gives %s", o.config.Output, plan.Output)
	}
	table := plan.Table()
	result, err := o.execute(func(z []float64, d trace.Denoiser, noise trace.Noise) (trace.Result, error) {
		return trace.ExecuteWith(ctx, table, z, d.Output, noise, plan.Adjust)
	})
	if err != nil {
		return err
	}
	shown := shownTrace{plan.Method, plan.Class, plan.Output, table.Grid, result, &shownScheduler{
		plan.Class, plan.Output, names(plan.Corrected), names(plan.Repeated), append([]string{}, plan.Unused...)}}
	if o.json {
		return shown.print(out)
	}
	return shown.show(out)
}

func names(departures []scheduler.Departure) []string {
	list := []string{}
	for _, d := range departures {
		list = append(list, d.Name)
	}
	return list
}

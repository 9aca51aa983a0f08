package main

import (
	"context"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/fetch"
	"fluxion/engine/scheduler"
	"fluxion/engine/trace"
)

// runScheduler runs a scheduler config.
func (o *traceOptions) runScheduler(ctx context.Context, face console.Face) error {
	if err := fetch.Here("--scheduler", o.scheduler); err != nil {
		return err
	}
	config, err := scheduler.Open(o.scheduler, o.ignore...)
	if err != nil {
		return schedulerError{o.scheduler, err}
	}
	plan, err := planned(o.scheduler, config, o.schedulerFlags.options(&o.samplingFlags))
	if err != nil {
		return err
	}
	if o.sources.Has("output") && o.config.Output != plan.Output {
		return fault.Usagef("--output %s, where the config's network gives %s", o.config.Output, plan.Output)
	}
	table := plan.Table()
	result, err := o.execute(func(z []float64, d trace.Denoiser, noise trace.Noise) (trace.Result, error) {
		return trace.ExecuteWith(ctx, table, z, d.Output, noise, plan.Adjust)
	})
	if err != nil {
		return err
	}
	shown := shownTrace{plan.Method, plan.Class, plan.Output, table.Grid, result, shownOf(plan)}
	return face.Result(shown.object(), shown.show)
}

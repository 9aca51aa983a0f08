package main

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/data/object"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/device/tuning"
	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// list declares the settings, with their defaults.
func (o *sampleOptions) list() setting.List {
	o.class, o.batch, o.weights, o.columns, o.depth = "all", 32, model.EMA, 10, 8
	o.device, o.precision, o.blockings = "auto", "auto", "auto"
	o.config.Options.Grid, o.config.Options.Steps, o.config.Sampler = "uniform", 30, "euler"
	return slices.Concat(
		setting.List{
			{Key: "model", Value: setting.Of(&o.model), Own: true, Help: "run folder (its newest checkpoint; RUN@best is its best), checkpoint, or diffusers folder"},
			{Key: "out", Value: setting.Of(&o.out), Own: true, Help: "folder for the images, made if need be; or FILE.npz, for all of them as float32; FILE.tar or tar:DIR, for shards of WebDataset"},
			{Key: "count", Value: setting.Of(&o.count), Own: true, Help: "make images 0 to COUNT-1", Range: setting.Within(1, maxSeeds, "")},
			{Key: "seeds", Value: setting.Of(&o.seeds), Own: true, Help: "numbers of the images to make, such as 0-99,200"},
			{Key: "class", Value: setting.Of(&o.class), Offers: []string{"all", "none"}, Help: "class by name or index; all takes them in turn; none is without"},
			labelSetting(&o.label),
		},
		sampler.GridSettings(&o.config.Sampler, &o.config.Options),
		setting.List{
			{Key: "batch", Value: setting.Of(&o.batch), Own: true, Help: "images made together; no effect on them", Range: setting.AtLeast(1, "")},
			model.WeightsSetting(&o.weights),
			{Key: "seed", Value: setting.Of(&o.seed), Own: true, Help: "key of all randomness"},
		},
		o.schedulerFlags.list("in place of --schedule, --grid and --sampler, all of a diffusers scheduler: model, for the model folder's own, a scheduler_config.json, or a folder with one"),
		o.guidanceFlags.list(), o.pictureFlags.list(),
		setting.List{
			{Key: "depth", Value: setting.Of(&o.depth), Help: "bits of a picture's value: 8, or 16 for models of --range", Range: setting.Range{Text: "8 or 16", Holds: func(n any) bool { return n == 8 || n == 16 }}},
			{Key: "columns", Value: setting.Of(&o.columns), Help: "images in a row of the grid", Range: setting.AtLeast(1, "")},
			device.NameSetting(&o.device), device.PrecisionSetting(&o.precision), device.ThreadsSetting(&o.threads),
			tuning.BlockingsSetting(&o.blockings), model.IgnoreSetting(&o.ignore),
		},
		o.schedule().With("schedule", func(s *setting.Setting) {
			s.Help = "to sample along, if not the model's own: " + strings.Join(process.Schedules(), ", ")
		}),
		sampler.OptionSettings(&o.config.Options, "1e-4"),
	)
}

// check refuses what goes not together, and returns the numbers of the images.
func (o *sampleOptions) check() ([]int64, error) {
	switch { // a flag, say, in the place of what a file says
	case o.sources.Wins("count", "seeds"):
		o.seeds = ""
	case o.sources.Wins("seeds", "count"):
		o.count = 0
	}
	switch {
	case o.model == "" || o.out == "":
		return nil, fault.Usagef("--model and --out are needed")
	case o.count == 0 && o.seeds == "" && (o.input != "" || o.initSet() || isLabelFile(o.label)): // all of them
	case (o.count > 0) == (o.seeds != ""):
		return nil, fault.Usagef("give either --count N or --seeds A-B")
	}
	if to, _, _ := samples.IsTar(o.out); !object.Is(to) {
		if err := outdir.Possible("--out", to); err != nil {
			return nil, err
		}
	}
	if !o.floats() && !o.packed() && !object.Is(o.out) {
		if err := outdir.Check("--out", o.out); err != nil {
			return nil, err
		}
	}
	if err := o.settlePart(); err != nil {
		return nil, err
	}
	if err := o.checkPacks(); err != nil {
		return nil, err
	}
	if to, _, _ := samples.IsTar(o.out); object.Is(to) {
		if err := object.Check(to); err != nil {
			return nil, fault.Usagef("--out %w", err)
		}
	}
	if err := o.checkVerify(); err != nil {
		return nil, err
	}
	if err := o.pictureFlags.check(); err != nil {
		return nil, err
	}
	if err := o.noiseFlags.check(o.init); err != nil {
		return nil, err
	}
	if err := o.schedulerFlags.check(&o.samplingFlags, saidOfLimits...); err != nil {
		return nil, err
	}
	if o.count == 0 && o.seeds == "" {
		return nil, nil
	}
	if o.seeds == "" {
		o.seeds = fmt.Sprintf("0-%d", o.count-1)
	}
	return parseSeeds(o.seeds)
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data/setting"
	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/trace"
	"fluxion/nets/pyjson"

	"github.com/spf13/cobra"
)

type traceOptions struct {
	samplingFlags
	schedulerFlags
	denoiser, z, noise string
	seed               uint64
	json, list         bool
	ignore             []string
}

func newTrace() *cobra.Command {
	o := &traceOptions{}
	c := &cobra.Command{
		Use:   "trace",
		Short: "Run a sampler on a closed-form denoiser and print every state",
		Long: `Run a sampler in float64 on a denoiser without a network, and print the grid,
the state at each of its entries, the calls, and the weights with which the
start, each output and each draw of noise enter the sample.

In place of --schedule, --grid, --sampler and --output, --scheduler takes all of
them from diffusers' scheduler_config.json. Where diffusers departs from theory,
its defects are left out then and its conventions kept, and the output names
both; --compat diffusers repeats all of them, --compat none leaves all of them
out. --list says which are which.

--z is the state at the first entry of the grid, in the schedule's own scale: a
list of numbers, or @FILE with a JSON list. --list names everything that can be
chosen.`,
		Example: `  fluxion trace --schedule cosine --grid uniform --steps 10 --sampler dpm++-2m \
    --denoiser gaussian:mean=0.3,var=0.25 --output v --z 1.2,-0.4 --json
  fluxion trace --schedule fm --grid t:1,0.8,0.5,0.2,0 --sampler heun \
    --denoiser 'formula:z - t' --output u --z 0.5
  fluxion trace --scheduler MODEL_FOLDER --steps 20 --denoiser 'formula:0.9*z' --z 1,-1`,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json))
		},
	}
	f := c.Flags()
	f.SortFlags = false
	o.sources = settings.Bind(c, o.settings())
	f.BoolVar(&o.json, "json", false, "print one JSON object and nothing else")
	f.BoolVar(&o.list, "list", false, "name every schedule, grid, sampler, output, weighting, time sampler and denoiser")
	return c
}

// settings declares what is run, with the defaults.
func (o *traceOptions) settings() setting.List {
	c := &o.config
	c.Schedule, c.Output, c.Sampler, c.Options.Grid = "fm", "x", "ddim", "uniform"
	return slices.Concat(
		o.schedule().With("schedule", func(s *setting.Setting) { s.Help = "one of " + strings.Join(process.Schedules(), ", ") }),
		sampler.GridSettings(&c.Sampler, &c.Options),
		setting.List{
			{Key: "denoiser", Value: setting.Of(&o.denoiser), Help: "gaussian:mean=M,var=V, mixture:FILE, points:FILE or formula:EXPR"},
			{Key: "output", Value: setting.Of(&c.Output), Offers: process.Outputs(), Help: "what the denoiser's network predicts: " + strings.Join(process.Outputs(), ", ")},
		},
		o.schedulerFlags.list("a scheduler_config.json, or the folder of a pipeline with one"),
		setting.List{
			model.IgnoreSetting(&o.ignore),
			{Key: "z", Value: setting.Of(&o.z), Own: true, Help: "the first state: numbers, or @FILE.json"},
			{Key: "noise", Value: setting.Of(&o.noise), Own: true, Help: "@FILE.json with one list for each draw of noise, in order"},
			{Key: "seed", Value: setting.Of(&o.seed), Own: true, Help: "of the noise, if it is not given"},
			{Key: "start", Value: setting.Of(&c.Options.Begin), Help: "entry of the grid at which to begin; z is the state there"},
			{Key: "invert", Value: setting.Of(&c.Options.Invert), Help: "run the grid upwards, from data to noise"},
		},
		sampler.OptionSettings(&c.Options, "1e-6"),
	)
}

func (o *traceOptions) run(ctx context.Context, face console.Face) error {
	if o.list {
		return printChoices(face)
	}
	if err := o.schedulerFlags.check(&o.samplingFlags); err != nil {
		return err
	}
	if o.scheduler != "" {
		return o.runScheduler(ctx, face)
	}
	setup, err := o.setup()
	if err != nil {
		return err
	}
	run := func(z []float64, d trace.Denoiser, noise trace.Noise) (trace.Result, error) {
		return setup.Run(ctx, z, d, noise)
	}
	result, err := o.execute(run)
	if err != nil {
		return err
	}
	shown := shownTrace{setup.Sampler.Name, setup.Process.Schedule.Name(), setup.Process.Output.Name, setup.Grid, result, nil}
	return face.Result(shown.object(), shown.show)
}

// execute runs something on the denoiser, state and noise of the command line.
func (o *traceOptions) execute(run func(z []float64, d trace.Denoiser, noise trace.Noise) (trace.Result, error)) (trace.Result, error) {
	var none trace.Result
	if o.denoiser == "" || o.z == "" {
		return none, fault.Usagef("--denoiser and --z are needed, as in --denoiser gaussian:mean=0,var=1 --z 0.5")
	}
	denoiser, err := trace.ParseDenoiser(o.denoiser)
	if err != nil {
		return none, fault.Usage(err)
	}
	z, err := readState(o.z)
	if err != nil {
		return none, err
	}
	noise := trace.SeededNoise(o.seed)
	if o.noise != "" {
		if noise, err = readNoise(o.noise); err != nil {
			return none, err
		}
	}
	result, err := run(z, denoiser, noise)
	if err != nil {
		return none, fault.Usage(err)
	}
	return result, nil
}

// setup resolves the names of the command line.
func (o *traceOptions) setup() (trace.Setup, error) {
	o.resolve()
	setup, err := o.config.Resolve()
	if err != nil {
		return setup, fault.Usage(err)
	}
	return setup, nil
}

// readState reads numbers, or @FILE with a JSON list.
func readState(text string) ([]float64, error) {
	if file, ok := strings.CutPrefix(text, "@"); ok {
		data, err := pyjson.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--z: %w", err)
		}
		z, err := trace.Numbers(data)
		if err != nil {
			return nil, fault.Usagef("--z %s: %v", text, err)
		}
		return z, nil
	}
	var z []float64
	for part := range strings.SplitSeq(strings.Trim(text, "[]"), ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fault.Usagef("--z %s: %q is no finite number; want as in 0.5,-1.2 or @FILE.json", text, part)
		}
		z = append(z, x)
	}
	return z, nil
}

// readNoise reads @FILE with one list of numbers for each draw.
func readNoise(text string) (trace.Noise, error) {
	file, ok := strings.CutPrefix(text, "@")
	if !ok {
		return nil, fault.Usagef("--noise %s: want @FILE.json with one list of numbers for each draw", text)
	}
	data, err := pyjson.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--noise: %w", err)
	}
	var lists []json.RawMessage
	if err := json.Unmarshal(data, &lists); err != nil {
		return nil, fault.Usagef("--noise %s: %v", text, err)
	}
	draws := make([][]float64, len(lists))
	for i, list := range lists {
		if draws[i], err = trace.Numbers(list); err != nil {
			return nil, fault.Usagef("--noise %s: draw %d: %v", text, i, err)
		}
	}
	return trace.GivenNoise(draws), nil
}

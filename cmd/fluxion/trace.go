package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/data/setting"
	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/scheduler"
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
			{Key: "output", Value: setting.Of(&c.Output), Help: "what the denoiser's network predicts: " + strings.Join(process.Outputs(), ", ")},
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

// real is a number in JSON, null where it is infinite or none.
type real float64

func (r real) MarshalJSON() ([]byte, error) {
	if x := float64(r); !math.IsInf(x, 0) && !math.IsNaN(x) {
		return json.Marshal(x)
	}
	return []byte("null"), nil
}

func reals(values []float64) []real {
	list := make([]real, len(values))
	for i, v := range values {
		list[i] = real(v)
	}
	return list
}

type tracePoint struct {
	T      real `json:"t"`
	Alpha  real `json:"alpha"`
	Sigma  real `json:"sigma"`
	Lambda real `json:"lambda"`
	N      real `json:"n"`
}

type traceCall struct {
	Point real `json:"point"`
	N     real `json:"n"`
}

type traceWeights struct {
	Start   real   `json:"start"`
	Outputs []real `json:"outputs"`
	Noise   []real `json:"noise"`
}

// shownTrace is a run to be shown.
type shownTrace struct {
	sampler, schedule, output string
	grid                      sampler.Grid
	result                    trace.Result
	scheduler                 *shownScheduler // nil without one
}

// traceObject is a run for a machine.
type traceObject struct {
	Grid      []tracePoint    `json:"grid"`
	States    [][]real        `json:"states"`
	Calls     []traceCall     `json:"calls"`
	Weights   *traceWeights   `json:"weights"`
	Sampler   string          `json:"sampler"`
	Schedule  string          `json:"schedule"`
	Scheduler *shownScheduler `json:"scheduler,omitempty"`
}

func (s shownTrace) object() (t traceObject) {
	for _, q := range s.grid.Points {
		t.Grid = append(t.Grid, tracePoint{real(q.Time), real(q.Alpha), real(q.Sigma), real(q.LogSNR), real(q.NetworkTime)})
	}
	for _, z := range s.result.States {
		t.States = append(t.States, reals(z))
	}
	for _, c := range s.result.Calls {
		t.Calls = append(t.Calls, traceCall{real(c.Position), real(c.Point.NetworkTime)})
	}
	if w := s.result.Weights; w != nil {
		t.Weights = &traceWeights{real(w.Start), reals(w.Outputs), reals(w.Noise)}
	}
	t.Sampler, t.Schedule, t.Scheduler = s.sampler, s.schedule, s.scheduler
	return t
}

// show writes the run as a table.
func (s shownTrace) show(out io.Writer) error {
	fmt.Fprintf(out, "%s on %s/%s, %d calls\n", s.sampler, s.schedule, s.output, len(s.result.Calls))
	if s.scheduler != nil {
		s.scheduler.show(out)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "t\tα\tσ\tλ\tn\tstate\t")
	for i, q := range s.grid.Points {
		var values []string
		for _, v := range s.result.States[i] {
			values = append(values, fmt.Sprintf("%.6g", v))
		}
		fmt.Fprintf(w, "%.5g\t%.5g\t%.5g\t%.5g\t%.5g\t%s\t\n", q.Time, q.Alpha, q.Sigma, q.LogSNR, q.NetworkTime, strings.Join(values, " "))
	}
	return w.Flush()
}

// choice is a name and what it is.
type choice struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

// choices are all names, by kind, in the order in which they are shown.
func choices() (kinds []string, all map[string][]choice) {
	all = map[string][]choice{}
	add := func(kind, name, parameters, about string) {
		if len(all[kind]) == 0 {
			kinds = append(kinds, kind)
		}
		if parameters != "" {
			about += " (" + parameters + ")"
		}
		all[kind] = append(all[kind], choice{name, about})
	}
	for _, s := range process.ListSchedules() {
		add("schedules", s.Name, "", s.About)
	}
	for _, g := range sampler.ListGrids() {
		add("grids", g.Name, g.Defaults.String(), g.About)
	}
	for _, s := range sampler.List() {
		add("samplers", s.Name, s.Describe(), s.About)
	}
	for _, y := range process.ListOutputs() {
		add("outputs", y.Name, "", y.About)
	}
	for _, w := range process.ListWeightings() {
		add("weightings", w.Name, w.Defaults.String(), w.About)
	}
	for _, t := range process.ListTimeSamplers() {
		add("time_samplers", t.Name, t.Defaults.String(), t.About)
	}
	for _, d := range trace.ListDenoisers() {
		add("denoisers", d.Usage, "", d.About)
	}
	for _, name := range scheduler.Names() {
		add("schedulers", name, "", scheduler.List()[name])
	}
	for _, d := range scheduler.Departures() {
		kind := "defect, left out"
		if d.Convention {
			kind = "convention, kept"
		}
		add("departures_of_diffusers", d.Name, "", fmt.Sprintf("%s: it %s, where theory %s; %s", kind, d.Theirs, d.Ours, d.Why))
	}
	return kinds, all
}

func printChoices(face console.Face) error {
	kinds, all := choices()
	return face.Result(all, func(out io.Writer) error { return showChoices(out, kinds, all) })
}

func showChoices(out io.Writer, kinds []string, all map[string][]choice) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i, kind := range kinds {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, strings.ReplaceAll(kind, "_", " ")+":")
		for _, c := range all[kind] {
			fmt.Fprintf(w, "  %s\t%s\n", c.Name, c.About)
		}
	}
	return w.Flush()
}

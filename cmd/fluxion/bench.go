package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/train"
	"fluxion/kernels/number"
	"fluxion/nets"

	"github.com/spf13/cobra"
)

type benchOptions struct {
	preset, precision, device string
	batch, size, steps        int
	threads                   int
	without                   []string
	recompute                 string
	blockings                 string
	selfCondition             bool
	json                      bool
}

func newBench() *cobra.Command {
	c := &cobra.Command{
		Use:     "bench",
		Short:   "Time a training step or a network evaluation, or look into it",
		Long:    "Time a training step, or one evaluation of the network as sampling does it,\nagainst the arithmetic peak measured in the same run.",
		Example: "  fluxion bench train --preset cifar --batch 16\n  fluxion bench sample --preset tiny --batch 64 --json",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fault.Usagef("no benchmark %q; there are bench train, sample, ops, tune and kernels", args[0])
			}
			return fault.Usagef("bench what? want bench train, sample, ops, tune or kernels")
		},
	}
	for _, mode := range []string{"train", "sample"} {
		o := &benchOptions{}
		short := map[string]string{"train": "Time training steps", "sample": "Time network evaluations"}[mode]
		sub := &cobra.Command{
			Use:     mode,
			Short:   short,
			Long:    short + ".\n\n" + fusionsText(),
			Example: "  fluxion bench " + mode + " --preset cifar --batch 16 --steps 5 --json",
			Args:    noArguments,
			RunE:    func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c.OutOrStdout(), mode == "train") },
		}
		f := sub.Flags()
		f.StringVar(&o.preset, "preset", "tiny", "network")
		f.IntVar(&o.batch, "batch", 16, "images of a step")
		f.IntVar(&o.size, "size", 0, "side of the images; 0: the preset's")
		f.StringVar(&o.precision, "precision", "auto", precisionHelp)
		f.IntVar(&o.steps, "steps", 5, "steps timed, after one that is not")
		f.StringVar(&o.device, "device", "auto", deviceHelp)
		f.IntVar(&o.threads, "threads", 0, threadsHelp)
		machine.AddBlockings(f, &o.blockings)
		if mode == "train" {
			f.StringVar(&o.recompute, "recompute", "none", recomputeHelp)
		}
		f.BoolVar(&o.selfCondition, "self-conditioning", false, selfConditionHelp)
		f.StringSliceVar(&o.without, "without", nil, withoutHelp)
		f.BoolVar(&o.json, "json", false, "print one JSON object")
		c.AddCommand(sub)
	}
	c.AddCommand(newBenchOps(), newBenchTune(), newBenchKernels())
	return c
}

// network checks the options that all benchmarks share and returns the network.
func (o *benchOptions) network() (nets.Config, error) {
	if o.batch < 1 || o.size < 0 || o.size > data.MaxSide {
		return nets.Config{}, fault.Usagef("--batch %d --size %d: want 1 or more images, and a size from 0 to %d", o.batch, o.size, data.MaxSide)
	}
	if err := plan.CheckFusions(o.without); err != nil {
		return nets.Config{}, fault.Usagef("--without: %w", err)
	}
	if o.recompute != "" {
		if err := plan.CheckRecomputation(o.recompute); err != nil {
			return nets.Config{}, fault.Usagef("--recompute: %w", err)
		}
	}
	config, err := nets.Preset(o.preset)
	if err != nil {
		return config, fault.Usage(err)
	}
	if o.size == 0 {
		if o.size, _ = side(config.SampleSize); o.size == 0 {
			o.size = 32
		}
	}
	config, err = train.Network(o.preset, o.size, o.size, 3, 0)
	return config.WithSelfConditioning(o.selfCondition), err
}

// spread is the times of steps, in seconds.
type spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// benchResult is what bench prints.
type benchResult struct {
	Work             string  `json:"work"`
	Preset           string  `json:"preset"`
	Batch            int     `json:"batch"`
	ImagesPerSecond  float64 `json:"images_per_second"` // of the median step
	StepSeconds      spread  `json:"step_seconds"`
	FLOPPerImage     float64 `json:"flop_per_image"`
	FLOPS            float64 `json:"flops"` // a second
	PeakFLOPS        float64 `json:"peak_flops"`
	ShareOfPeak      float64 `json:"share_of_peak"`
	PlannedBytes     int64   `json:"planned_bytes"`
	ResidentBytes    int64   `json:"resident_bytes"` // most so far
	StartToFirstStep float64 `json:"start_to_first_step_seconds"`
	Device           string  `json:"device"`
	Simulated        bool    `json:"simulated"` // times mean nothing
	Precision        string  `json:"precision"`
	Threads          int     `json:"threads"`
	SelfConditioning bool    `json:"self_conditioning"` // the network is given its own estimate of the image
}

func (o *benchOptions) run(ctx context.Context, out io.Writer, training bool) (err error) {
	if o.steps < 1 || o.threads < 0 {
		return fault.Usagef("--steps %d --threads %d: want 1 or more steps, and 0 or more threads", o.steps, o.threads)
	}
	config, err := o.network()
	if err != nil {
		return err
	}
	dev, err := machine.Open(o.device, o.threads, o.blockings, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	precision, err := device.Precision(o.precision, dev.Target())
	if err != nil {
		return fault.Usagef("--precision: %w", err)
	}
	r := benchResult{Work: workName(training), Preset: o.preset, Batch: o.batch, Device: dev.Describe(), Simulated: dev.Simulated(), Precision: precision.String(), Threads: dev.Threads(), SelfConditioning: o.selfCondition}
	w, err := o.work(dev, config, precision, training)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.free()) }()
	r.PlannedBytes, r.FLOPPerImage = w.bytes, float64(w.flops)/float64(o.batch)
	if err := w.step(); err != nil {
		return err
	}
	r.StartToFirstStep = machine.SinceStart().Seconds()
	var times []float64
	for range o.steps {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		begin := time.Now()
		if err := w.step(); err != nil {
			return err
		}
		times = append(times, time.Since(begin).Seconds())
	}
	slices.Sort(times)
	r.StepSeconds = spread{times[0], times[len(times)/2], times[len(times)-1]}
	r.ImagesPerSecond = float64(o.batch) / r.StepSeconds.Median
	r.FLOPS = r.FLOPPerImage * r.ImagesPerSecond
	r.ResidentBytes = machine.PeakResident()
	if r.PeakFLOPS = dev.PeakFLOPS(precision); r.PeakFLOPS > 0 {
		r.ShareOfPeak = r.FLOPS / r.PeakFLOPS
	}
	return r.print(out, o.json)
}

// work is what is timed, on a device.
type work struct {
	step, free func() error
	plan       *plan.Plan
	launches   func(visit func(i int) error) error // runs the plan launch by launch
	bytes      int64                               // planned
	flops      int64                               // of a step, without what is computed again
}

func workName(training bool) string {
	if training {
		return "train"
	}
	return "sample"
}

func networkName(preset string, selfConditioning bool) string {
	if selfConditioning {
		return preset + " with self-conditioning"
	}
	return preset
}

func (o *benchOptions) work(dev device.Device, config nets.Config, precision number.Type, training bool) (work, error) {
	if training {
		return o.trainStep(dev, config, precision)
	}
	return o.sampleStep(dev, config, precision)
}

// trainStep is a whole training step on made-up images.
func (o *benchOptions) trainStep(dev device.Device, config nets.Config, precision number.Type) (work, error) {
	s, err := train.NewStep(train.StepOptions{
		Config: config, Height: o.size, Width: o.size, Batch: o.batch, Accumulate: 1, Target: dev.Target(), Precision: precision,
		Without: o.without, Recompute: o.recompute,
	})
	if err != nil {
		return work{}, err
	}
	settings := train.Default()
	if o.selfCondition {
		settings.SelfConditioning = 0.5 // a step takes as long for any share
	}
	objective, err := train.NewObjective(settings, 0)
	if err != nil {
		return work{}, err
	}
	if err := device.CheckMemory(s.Needs(dev, s.Sizes())...); err != nil {
		return work{}, err
	}
	memory, err := dev.Alloc(s.Sizes())
	if err != nil {
		return work{}, err
	}
	t, err := s.Load(dev, memory)
	if err != nil {
		return work{}, errors.Join(err, memory.Free())
	}
	free := func() error { return errors.Join(t.Free(), memory.Free()) }
	if err := t.Initialise(1); err != nil {
		return work{}, errors.Join(err, free())
	}
	images := train.Images{Pixels: make([]byte, o.batch*o.size*o.size*3), Labels: make([]int32, o.batch), Indices: make([]int64, o.batch)}
	for i := range images.Pixels {
		images.Pixels[i] = byte(i * 31)
	}
	hyper := train.Hyper{Settings: settings, LearningRate: 1e-4, AverageRates: [train.MaxAverages]float64{0.99}}
	step := func() error {
		hyper.Count++
		t.Hyper(hyper)
		for i := range images.Indices {
			images.Indices[i] = (hyper.Count-1)*int64(o.batch) + int64(i)
		}
		t.Fill(images, objective)
		_, err := t.RunMicro(0)
		if err == nil {
			_, err = t.Finish()
		}
		return err
	}
	return work{step, free, s.Micro, t.Launches, s.Sizes().Bytes(), s.Cost().FLOPs - s.Recomputed().FLOPs}, nil
}

// firstWeights writes those of a step's network.
func firstWeights(s *generate.Step) func(device.Memory) error {
	draw := func(flats ...[]float32) { nets.Initialise(s.Graph.Params, 1, flats...) }
	return func(m device.Memory) error { return device.Fill(m, s.Weights.Size, draw, s.Weights) }
}

// sampleStep is one evaluation of the network with the sampler's update.
func (o *benchOptions) sampleStep(dev device.Device, config nets.Config, precision number.Type) (work, error) {
	s, err := generate.NewStep(generate.Options{
		Config: config, Height: o.size, Width: o.size, Batch: o.batch, Target: dev.Target(), Precision: precision, Prepare: true, Without: o.without,
	})
	if err != nil {
		return work{}, err
	}
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		return work{}, err
	}
	method, err := sampler.Get("euler")
	if err != nil {
		return work{}, err
	}
	table, err := method.Plan(p, sampler.Options{Steps: 1})
	if err != nil {
		return work{}, err
	}
	g, free, err := load(dev, s, firstWeights(s))
	if err != nil {
		return work{}, err
	}
	request := generate.Request{Table: table, Guidance: generate.Guidance{Scale: 1}, Seeds: make([]int64, o.batch)}
	if err := g.Run(context.Background(), request, func(int, []byte) error { return nil }); err != nil {
		return work{}, errors.Join(err, free())
	}
	return work{g.Evaluate, free, s.Plan, g.Launches, s.Sizes().Bytes(), s.Plan.Cost().FLOPs}, nil
}

func (r benchResult) print(out io.Writer, asJSON bool) error {
	if asJSON {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", line)
		return err
	}
	arithmetic := fmt.Sprintf("%.1f GFLOP/s", r.FLOPS/1e9)
	if r.PeakFLOPS > 0 {
		arithmetic += fmt.Sprintf(" of %.1f, %.0f %%", r.PeakFLOPS/1e9, 100*r.ShareOfPeak)
	}
	if r.Simulated {
		arithmetic += ", simulated: no time here means anything"
	}
	_, err := fmt.Fprintf(out, `%s %s, batch %d, %s, %s
images/s    %.2f
step        %.1f ms (min %.1f, max %.1f)
arithmetic  %s; %.2f GFLOP an image
memory      %s planned, %s resident
first step  %.2f s after the start
`, r.Work, networkName(r.Preset, r.SelfConditioning), r.Batch, r.Precision, r.Device, r.ImagesPerSecond,
		1e3*r.StepSeconds.Median, 1e3*r.StepSeconds.Min, 1e3*r.StepSeconds.Max,
		arithmetic, r.FLOPPerImage/1e9, console.Size(r.PlannedBytes), console.Size(r.ResidentBytes), r.StartToFirstStep)
	return err
}

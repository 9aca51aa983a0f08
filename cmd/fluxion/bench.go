package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/train"
	"fluxion/kernels/adamw"
	"fluxion/nets"

	"github.com/spf13/cobra"
)

type benchOptions struct {
	preset, precision, device string
	batch, size, steps        int
	threads                   int
	json                      bool
}

func newBench() *cobra.Command {
	c := &cobra.Command{
		Use:     "bench",
		Short:   "Time a training step or a network evaluation",
		Long:    "Time a training step, or one evaluation of the network as sampling does it,\nagainst the arithmetic peak measured in the same run.",
		Example: "  fluxion bench train --preset cifar --batch 16\n  fluxion bench sample --preset tiny --batch 64 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return usagef("bench what? want bench train or bench sample")
		},
	}
	for _, mode := range []string{"train", "sample"} {
		o := &benchOptions{}
		sub := &cobra.Command{
			Use:     mode,
			Short:   map[string]string{"train": "Time training steps", "sample": "Time network evaluations"}[mode],
			Example: "  fluxion bench " + mode + " --preset cifar --batch 16 --steps 5 --json",
			Args:    noArguments,
			RunE:    func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c.OutOrStdout(), mode == "train") },
		}
		f := sub.Flags()
		f.StringVar(&o.preset, "preset", "tiny", "network")
		f.IntVar(&o.batch, "batch", 16, "images of a step")
		f.IntVar(&o.size, "size", 0, "side of the images; 0: the preset's")
		f.StringVar(&o.precision, "precision", "fp32", "fp32")
		f.IntVar(&o.steps, "steps", 5, "steps timed, after one that is not")
		f.StringVar(&o.device, "device", "auto", "auto, cpu")
		f.IntVar(&o.threads, "threads", 0, "0: all there are")
		f.BoolVar(&o.json, "json", false, "print one JSON object")
		c.AddCommand(sub)
	}
	return c
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
	Precision        string  `json:"precision"`
	Threads          int     `json:"threads"`
}

func (o *benchOptions) run(ctx context.Context, out io.Writer, training bool) error {
	if o.batch < 1 || o.steps < 1 || o.threads < 0 || o.size < 0 {
		return usagef("--batch and --steps want 1 or more")
	}
	if o.precision != "fp32" {
		return usagef("--precision %s: want fp32", o.precision)
	}
	config, err := nets.Preset(o.preset)
	if err != nil {
		return usageError{err}
	}
	if o.size == 0 {
		if o.size, _ = side(config.SampleSize); o.size == 0 {
			o.size = 32
		}
	}
	if config, err = train.Network(o.preset, o.size, o.size, 3, 0); err != nil {
		return err
	}
	dev, err := openDevice(o.device, o.threads)
	if err != nil {
		return err
	}
	defer dev.Close()
	r := benchResult{Work: "sample", Preset: o.preset, Batch: o.batch, Device: dev.Describe(), Precision: o.precision, Threads: dev.Threads()}
	var step func()
	if training {
		r.Work = "train"
		step, err = o.trainStep(dev, config, &r)
	} else {
		step, err = o.sampleStep(dev, config, &r)
	}
	if err != nil {
		return err
	}
	step()
	r.StartToFirstStep = sinceStart().Seconds()
	var times []float64
	for range o.steps {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		begin := time.Now()
		step()
		times = append(times, time.Since(begin).Seconds())
	}
	slices.Sort(times)
	r.StepSeconds = spread{times[0], times[len(times)/2], times[len(times)-1]}
	r.ImagesPerSecond = float64(o.batch) / r.StepSeconds.Median
	r.FLOPS = r.FLOPPerImage * r.ImagesPerSecond
	r.ResidentBytes = peakResident()
	r.PeakFLOPS = dev.PeakFLOPS()
	r.ShareOfPeak = r.FLOPS / r.PeakFLOPS
	return r.print(out, o.json)
}

// trainStep returns a whole training step on made-up images.
func (o *benchOptions) trainStep(dev device.Device, config nets.Config, r *benchResult) (func(), error) {
	s, err := train.NewStep(train.StepOptions{Config: config, Height: o.size, Width: o.size, Batch: o.batch, Accumulate: 1, Threads: dev.Threads()})
	if err != nil {
		return nil, err
	}
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		return nil, err
	}
	times, err := process.GetTimeSampler("logit-normal")
	if err != nil {
		return nil, err
	}
	r.PlannedBytes, r.FLOPPerImage = plan.Bytes(s.Sizes()), float64(s.Cost().FLOPs)/float64(o.batch)
	memory := dev.Alloc(s.Sizes())
	t := s.Load(dev, memory)
	nets.Initialise(s.Graph.Params, 1, memory[plan.Parameters])
	images := train.Images{Pixels: make([]byte, o.batch*o.size*o.size*3), Labels: make([]int32, o.batch), Indices: make([]int64, o.batch)}
	for i := range images.Pixels {
		images.Pixels[i] = byte(i * 31)
	}
	hyper := adamw.Step{LearningRate: 1e-4, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, ClipNorm: 1, AverageRate: 0.99}
	return func() {
		hyper.Count++
		t.Hyper(hyper)
		for i := range images.Indices {
			images.Indices[i] = (hyper.Count-1)*int64(o.batch) + int64(i)
		}
		t.Fill(images, train.Objective{Process: p, Times: times})
		t.RunMicro(0)
		t.Finish()
	}, nil
}

// sampleStep returns one evaluation of the network with the sampler's update.
func (o *benchOptions) sampleStep(dev device.Device, config nets.Config, r *benchResult) (func(), error) {
	s, err := generate.NewStep(generate.Options{Config: config, Height: o.size, Width: o.size, Batch: o.batch, Threads: dev.Threads()})
	if err != nil {
		return nil, err
	}
	r.PlannedBytes, r.FLOPPerImage = s.Plan.Bytes(), float64(s.Plan.Cost().FLOPs)/float64(o.batch)
	memory := dev.Alloc(s.Plan.Sizes)
	nets.Initialise(s.Graph.Params, 1, memory[plan.Parameters])
	g := s.Load(dev, memory)
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		return nil, err
	}
	method, err := sampler.Get("euler")
	if err != nil {
		return nil, err
	}
	table, err := method.Plan(p, sampler.Options{Steps: 1})
	if err != nil {
		return nil, err
	}
	request := generate.Request{Table: table, Guidance: 1, Seeds: make([]int64, o.batch)}
	if err := g.Run(context.Background(), request, func(int, []byte) error { return nil }); err != nil {
		return nil, err
	}
	return g.Evaluate, nil
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
	_, err := fmt.Fprintf(out, `%s %s, batch %d, %s, %s
images/s    %.2f
step        %.1f ms (min %.1f, max %.1f)
arithmetic  %.1f GFLOP/s of %.1f, %.0f %%; %.2f GFLOP an image
memory      %s planned, %s resident
first step  %.2f s after the start
`, r.Work, r.Preset, r.Batch, r.Precision, r.Device, r.ImagesPerSecond,
		1e3*r.StepSeconds.Median, 1e3*r.StepSeconds.Min, 1e3*r.StepSeconds.Max,
		r.FLOPS/1e9, r.PeakFLOPS/1e9, 100*r.ShareOfPeak, r.FLOPPerImage/1e9, size(r.PlannedBytes), size(r.ResidentBytes), r.StartToFirstStep)
	return err
}

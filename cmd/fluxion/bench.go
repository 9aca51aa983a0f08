package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/cmd/fluxion/internal/workload"
	"fluxion/data/setting"
	"fluxion/engine/plan"

	"github.com/spf13/cobra"
)

type benchOptions struct {
	workload.Options
	steps int
	json  bool
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
			Long:    short + ".\n\n" + modelText() + "\n\n" + fusionsText(),
			Example: "  fluxion bench " + mode + " --preset cifar --batch 16 --steps 5 --json\n  fluxion bench " + mode + " --preset cifar --batch 128 --device model:rtx4090",
			Args:    noArguments,
			RunE: func(c *cobra.Command, _ []string) error {
				return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json), mode == "train")
			},
		}
		o.Options = workload.Options{Preset: "tiny", Batch: 16, Precision: "auto", Device: "auto", Blockings: "auto"}
		o.steps = 5
		keys := []string{"preset", "batch", "size", "precision", "device", "threads", "blockings", workload.ObjectivesKey, "without"}
		if mode == "train" {
			o.Recompute = "none"
			keys = append(keys, "recompute")
		}
		settings.Bind(sub, append(o.List(keys...), stepsSetting(&o.steps, "steps timed, after one that is not")))
		sub.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
		c.AddCommand(sub)
	}
	c.AddCommand(newBenchOps(), newBenchTune(), newBenchKernels())
	return c
}

// stepsSetting declares how many steps are timed. To sample, steps are those of a grid.
func stepsSetting(p *int, help string) setting.Setting {
	return setting.Setting{Key: "steps", Value: setting.Of(p), Own: true, Help: help, Range: setting.AtLeast(1, "")}
}

// sampleSetting declares which step is worked on.
func sampleSetting(p *bool) setting.Setting {
	return setting.Setting{Key: "sample", Value: setting.Of(p), Own: true, Help: "a network evaluation instead of a training step"}
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
	Estimate         bool    `json:"self_conditioning"` // the network is given its own estimate of the image
	network          string  // for people
}

func (o *benchOptions) run(ctx context.Context, face console.Face, training bool) (err error) {
	if o.IsModel() {
		return runModel(ctx, o.Options, face, training, false, 0)
	}
	w, err := workload.Open(o.Options, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	r := benchResult{
		Work: workload.Work(training), Preset: o.Preset, Batch: o.Batch, Device: w.Device.Describe(), Simulated: w.Device.Simulated(),
		Precision: w.Activations.String(), Threads: w.Device.Threads(), Estimate: w.Network.Spec().Estimate, network: w.Name(),
	}
	step, err := w.Step(training)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, step.Free()) }()
	r.PlannedBytes, r.FLOPPerImage = step.Bytes, float64(step.FLOPs)/float64(o.Batch)
	if err := step.Run(); err != nil {
		return err
	}
	r.StartToFirstStep = machine.SinceStart().Seconds()
	var times []float64
	for range o.steps {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		begin := time.Now()
		if err := step.Run(); err != nil {
			return err
		}
		times = append(times, time.Since(begin).Seconds())
	}
	slices.Sort(times)
	r.StepSeconds = spread{times[0], times[len(times)/2], times[len(times)-1]}
	r.ImagesPerSecond = float64(o.Batch) / r.StepSeconds.Median
	r.FLOPS = r.FLOPPerImage * r.ImagesPerSecond
	r.ResidentBytes = machine.PeakResident()
	if r.PeakFLOPS = w.Device.PeakFLOPS(w.Activations); r.PeakFLOPS > 0 {
		r.ShareOfPeak = r.FLOPS / r.PeakFLOPS
	}
	return face.Result(r, r.print)
}

func (r benchResult) print(out io.Writer) error {
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
`, r.Work, r.network, r.Batch, r.Precision, r.Device, r.ImagesPerSecond,
		1e3*r.StepSeconds.Median, 1e3*r.StepSeconds.Min, 1e3*r.StepSeconds.Max,
		arithmetic, r.FLOPPerImage/1e9, console.Size(r.PlannedBytes), console.Size(r.ResidentBytes), r.StartToFirstStep)
	return err
}

// fusionsText says what --without takes, a line each.
func fusionsText() string {
	var b strings.Builder
	b.WriteString("--without leaves fusions out of the plan:\n")
	for _, f := range plan.Fusions {
		fmt.Fprintf(&b, "  %-12s %s\n", f.Name, f.Does)
	}
	return strings.TrimSpace(b.String())
}

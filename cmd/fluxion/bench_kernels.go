package main

import (
	"context"
	"io"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/cmd/fluxion/internal/workload"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/device/model"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
	"fluxion/engine/train"
	"fluxion/kernels/number"
	"fluxion/nets"

	"github.com/spf13/cobra"
)

type benchKernelsOptions struct {
	benchOptions
	blocks int64
}

// simulated is the device that counts.
const simulated = "sim"

func newBenchKernels() *cobra.Command {
	o := &benchKernelsOptions{}
	c := &cobra.Command{
		Use:   "kernels",
		Short: "Count what the CUDA kernels do, on the simulator",
		Long: `Run the CUDA kernels of a training step and of two sampling steps (guided with
earlier outputs; guided over whole images, with a picture given and the estimate
kept; of half the batch, which guidance doubles) on the simulator and print what
a profiler would count on a GPU: registers, shared memory and occupancy as ptxas
assembles them, sectors of global memory for each request, bytes against the
least that must move, bank conflicts of shared memory, instructions. No time is
measured. A launch that occurs more than once is run once; of launches with many
blocks some are run, spread over it, and counted for all.`,
		Example: "  fluxion bench kernels --preset cifar --batch 16\n  fluxion bench kernels --preset cifar --precision fp32 --json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json))
		},
	}
	o.Options = workload.Options{Preset: "cifar", Batch: 16, Precision: "auto", Device: simulated}
	o.blocks = 16
	settings.Bind(c, append(o.List("preset", "batch", "size", "precision"),
		setting.Setting{Key: "device", Value: setting.Of(&o.Device), Own: true, Help: "sim: counts are the simulator's"},
		setting.Setting{Key: "blocks", Value: setting.Of(&o.blocks), Help: "blocks of a launch that are run", Range: setting.AtLeast(0, "0 (all) or more")},
	))
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	return c
}

func (o *benchKernelsOptions) run(ctx context.Context, face console.Face) error {
	if o.Device != simulated {
		return fault.Usagef("--device %s: counts come from sim alone; bench train and bench ops time a device", o.Device)
	}
	network, err := o.Resolve()
	if err != nil {
		return err
	}
	target := device.CUDATarget{}
	precision, err := device.Precision(o.Precision, target)
	if err != nil {
		return fault.Usagef("--precision: %w", err)
	}
	s, err := train.NewStep(train.StepOptions{
		Network: network, Height: o.Size.Height, Width: o.Size.Width, Batch: o.Batch, Accumulate: 1, Target: target, Precision: precision,
	})
	if err != nil {
		return err
	}
	s.Hold()
	s.Hyper(train.Hyper{Settings: train.Default(), LearningRate: 1e-4, Count: 1, EMADecays: [train.MaxEMAs]float64{0.99}})
	plans, err := o.sampling(network, target, precision)
	if err != nil {
		return err
	}
	counts, err := model.Count(ctx, append([]*plan.Plan{s.Micro}, plans...), o.blocks)
	if err != nil {
		return err
	}
	list := countedLaunches(counts)
	return face.Result(map[string]any{
		"preset": o.Preset, "batch": o.Batch, "precision": precision.String(), "device": "sim", "blocks": o.blocks, "launches": list,
	}, func(out io.Writer) error { return printCounts(out, o, precision, list) })
}

// sampling is the plans of steps with every kernel that samples: guided, with
// earlier outputs, and guided over whole images with a picture given and the
// estimate kept.
func (o *benchKernelsOptions) sampling(network nets.Network, target plan.Target, precision number.Type) ([]*plan.Plan, error) {
	images := network.Spec()
	images.Classes, images.Estimate = 11, false
	plain, err := network.Fit(images)
	if err != nil {
		return nil, err
	}
	conditioned, err := nets.WithEstimate(plain, true)
	if err != nil {
		return nil, err
	}
	var plans []*plan.Plan
	for _, g := range []generate.Options{{Network: plain, Slots: 2}, {Network: conditioned, Reduced: true, Inpaint: true}} {
		g.Height, g.Width, g.Batch, g.Guided = o.Size.Height, o.Size.Width, max(1, o.Batch/2), true
		g.Target, g.Precision, g.Calls = target, precision, 1
		s, err := generate.NewStep(g)
		if err != nil {
			return nil, err
		}
		s.Busiest()
		plans = append(plans, s.Plans()...)
	}
	return plans, nil
}

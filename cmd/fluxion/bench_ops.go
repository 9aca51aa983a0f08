package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/cmd/fluxion/internal/workload"
	"fluxion/data/setting"
	"fluxion/data/stable"
	"fluxion/engine/device"
	"fluxion/engine/device/model"

	"github.com/spf13/cobra"
)

type benchOpsOptions struct {
	benchOptions
	sample bool
	top    int
}

func newBenchOps() *cobra.Command {
	o := &benchOpsOptions{}
	c := &cobra.Command{
		Use:   "ops",
		Short: "Time every distinct launch of a step",
		Long: `Time every distinct launch of a training step, or with --sample of a network
evaluation, and print where the time goes: shapes, how often, time and share,
arithmetic and traffic against the peaks of the device, which are measured in
the same run on the CPU. Traffic is what a launch must move at least. A launch cut
as it was measured to be fastest (fluxion bench tune) says so, and what it gains.

` + modelText() + "\n\n" + fusionsText(),
		Example: "  fluxion bench ops --preset cifar --batch 16\n  fluxion bench ops --preset tiny --batch 64 --sample --json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json))
		},
	}
	o.Options = workload.Options{Preset: "cifar", Batch: 16, Precision: "auto", Device: "auto", Blockings: "auto", Recompute: "none"}
	o.steps, o.top = 3, 25
	settings.Bind(c, append(o.List("preset", "batch", "size", "precision", "device", "threads", "blockings", "recompute", workload.ObjectivesKey, "without"),
		sampleSetting(&o.sample), stepsSetting(&o.steps, "steps timed, after one that is not; the median counts"),
		setting.Setting{Key: "top", Value: setting.Of(&o.top), Help: "launches printed, the longest first", Range: setting.AtLeast(0, "0 (all) or more")},
	))
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object with all launches")
	return c
}

// timedOp is a distinct launch with the time that all of its kind take in a step.
type timedOp struct {
	Operator string  `json:"operator"`
	Operands string  `json:"operands"`
	Times    int     `json:"times"`
	Seconds  float64 `json:"seconds"` // of all of them together
	Share    float64 `json:"share"`
	FLOPS    float64 `json:"flops"` // a second
	Bytes    float64 `json:"bytes"` // a second
	Cut      *cut    `json:"cut,omitempty"`

	flops, bytes int64
}

// opsResult is what bench ops prints.
type opsResult struct {
	Work      string    `json:"work"`
	Preset    string    `json:"preset"`
	Batch     int       `json:"batch"`
	Precision string    `json:"precision"`
	Device    string    `json:"device"`
	Simulated bool      `json:"simulated"` // times mean nothing
	Seconds   float64   `json:"seconds"`   // of all launches
	PeakFLOPS float64   `json:"peak_flops"`
	PeakBytes float64   `json:"peak_bytes"`
	Ops       []timedOp `json:"ops"`

	Estimate bool   `json:"self_conditioning"` // the network is given its own estimate of the image
	network  string // for people
}

func (o *benchOpsOptions) run(ctx context.Context, face console.Face) (err error) {
	if o.IsModel() {
		return runModel(ctx, o.Options, face, !o.sample, true, o.top)
	}
	w, err := workload.Open(o.Options, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	step, err := w.Step(!o.sample)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, step.Free()) }()
	ops, err := o.time(ctx, w.Device, step)
	if err != nil {
		return err
	}
	r := opsResult{
		Work: workload.Work(!o.sample), Preset: o.Preset, Batch: o.Batch, Precision: w.Activations.String(), Device: w.Device.Describe(), Simulated: w.Device.Simulated(),
		PeakFLOPS: w.Device.PeakFLOPS(w.Activations), PeakBytes: w.Device.PeakBytes(), Estimate: w.Network.Spec().Estimate, network: w.Name(), Ops: ops,
	}
	for _, op := range ops {
		r.Seconds += op.Seconds
	}
	for i := range r.Ops {
		r.Ops[i].Share = r.Ops[i].Seconds / r.Seconds
	}
	return face.Result(r, func(out io.Writer) error { return r.print(out, o.top) })
}

// time runs the work launch by launch and groups what is alike, the longest first.
func (o *benchOpsOptions) time(ctx context.Context, dev device.Device, step workload.Step) ([]timedOp, error) {
	if err := step.Run(); err != nil {
		return nil, err
	}
	times := make([][]float64, len(step.Plan.Launches))
	for range o.steps {
		last := time.Now()
		err := step.Launches(func(i int) error {
			now := time.Now()
			times[i] = append(times[i], now.Sub(last).Seconds())
			last = now
			return context.Cause(ctx)
		})
		if err != nil {
			return nil, err
		}
	}
	known := map[string]int{}
	var ops []timedOp
	for i, l := range step.Plan.Launches {
		name, operands := l.Kernel.String(), model.Operands(l)
		at, ok := known[name+operands]
		if !ok {
			at = len(ops)
			known[name+operands] = at
			ops = append(ops, timedOp{Operator: name, Operands: operands, Cut: cutOf(dev, l)})
		}
		slices.Sort(times[i])
		op := &ops[at]
		op.Times++
		op.Seconds += times[i][len(times[i])/2]
		op.flops += l.Cost.FLOPs
		op.bytes += model.IdealBytes(l)
	}
	for i := range ops {
		op := &ops[i]
		op.FLOPS, op.Bytes = float64(op.flops)/op.Seconds, float64(op.bytes)/op.Seconds
	}
	stable.Sort(ops, func(a, b timedOp) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return ops, nil
}

func (r opsResult) print(out io.Writer, top int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, batch %d, %s, %s: %.1f ms in launches; peaks %.0f GFLOP/s, %.1f GB/s\n",
		r.Work, r.network, r.Batch, r.Precision, r.Device, 1e3*r.Seconds, r.PeakFLOPS/1e9, r.PeakBytes/1e9)
	if r.Simulated {
		b.WriteString("The device is simulated: these times say nothing about a GPU.\n")
	}
	fmt.Fprintf(&b, "\n%8s %6s %5s %9s %8s  %s\n", "ms", "share", "times", "GFLOP/s", "GB/s", "launch")
	rest, restTime := 0, 0.0
	for i, op := range r.Ops {
		if top > 0 && i >= top {
			rest, restTime = rest+op.Times, restTime+op.Seconds
			continue
		}
		fmt.Fprintf(&b, "%8.2f %5.1f%% %5d %9.1f %8.1f  %s: %s%v\n", 1e3*op.Seconds, 100*op.Share, op.Times, op.FLOPS/1e9, op.Bytes/1e9, op.Operator, op.Operands, op.Cut)
	}
	if rest > 0 {
		fmt.Fprintf(&b, "%8.2f %5.1f%% %5d %9s %8s  all others\n", 1e3*restTime, 100*restTime/r.Seconds, rest, "", "")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

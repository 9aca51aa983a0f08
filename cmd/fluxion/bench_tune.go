package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/settings"
	"fluxion/cmd/fluxion/internal/workload"
	"fluxion/data/stable"
	"fluxion/engine/device"
	"fluxion/engine/device/model"
	"fluxion/engine/device/tuning"
	"fluxion/engine/plan"
	"fluxion/kernels"

	"github.com/spf13/cobra"
)

type benchTuneOptions struct {
	benchOptions
	sample bool
}

func newBenchTune() *cobra.Command {
	o := &benchTuneOptions{}
	c := &cobra.Command{
		Use:   "tune",
		Short: "Measure how the launches of a step are best cut on this machine",
		Long: `Run a training step, or with --sample a network evaluation, as often as it takes to
measure how its launches are best cut into tasks on this CPU, and keep that for
later programs of the same shapes. No cut changes a result. Training and sampling
measure the same in their first steps; this command is for those that want it
beforehand, or want to see it.`,
		Example: "  fluxion bench tune --preset cifar --batch 16\n  fluxion bench tune --preset tiny --batch 32 --sample --json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), console.NewFace(c.OutOrStdout(), o.json))
		},
	}
	o.Options = workload.Options{Preset: "cifar", Batch: 16, Precision: "auto", Device: "cpu", Blockings: "auto", Recompute: "none"}
	settings.Bind(c, append(o.List("preset", "batch", "size", "precision", "threads", "blockings", "recompute", "without"), sampleSetting(&o.sample)))
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	return c
}

// cut is how a kind of launch is cut otherwise than its kernel does by itself.
type cut struct {
	Usual kernels.TileSize `json:"usual"`
	Best  kernels.TileSize `json:"best"`
	Gain  float64          `json:"gain"` // the share of time that it saves
}

func (c *cut) String() string {
	if c == nil {
		return ""
	}
	var parts []string
	for _, n := range []struct {
		name        string
		best, usual int
	}{{"rows", c.Best.Rows, c.Usual.Rows}, {"columns", c.Best.Columns, c.Usual.Columns}} {
		if n.best != n.usual {
			parts = append(parts, fmt.Sprintf("%s of a task %d instead of %d", n.name, n.best, n.usual))
		}
	}
	return fmt.Sprintf("; %s: %.1f %% faster", strings.Join(parts, ", "), 100*c.Gain)
}

// cutOf is what the table of a device says of a launch, nil if it is cut as usual.
func cutOf(dev device.Device, l plan.Launch) *cut {
	e, ok := entryOf(dev, l)
	if !ok || e.Best == nil || *e.Best == e.Usual {
		return nil
	}
	return &cut{e.Usual, *e.Best, e.Gain}
}

func entryOf(dev device.Device, l plan.Launch) (tuning.Entry, bool) {
	if c, ok := dev.(*device.CPU); ok {
		return c.Tuned(l)
	}
	return tuning.Entry{}, false
}

// tunedLaunch is a kind of launch that is cut otherwise.
type tunedLaunch struct {
	Operator string `json:"operator"`
	Operands string `json:"operands"`
	Times    int    `json:"times"`
	Cut      *cut   `json:"cut"`
}

// tuneResult is what bench tune prints.
type tuneResult struct {
	Work      string        `json:"work"`
	Preset    string        `json:"preset"`
	Batch     int           `json:"batch"`
	Precision string        `json:"precision"`
	Device    string        `json:"device"`
	Runs      int           `json:"runs"`    // that it took
	Settled   int           `json:"settled"` // kinds of launches whose best cut is known
	Launches  []tunedLaunch `json:"launches"`
}

func (o *benchTuneOptions) run(ctx context.Context, face console.Face) (err error) {
	if o.Blockings == "off" {
		return fault.Usagef("--blockings off: nothing would be measured")
	}
	w, err := workload.Open(o.Options, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	step, err := w.Step(!o.sample)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, step.Free()) }()
	r := tuneResult{Work: workload.Work(!o.sample), Preset: o.Preset, Batch: o.Batch, Precision: w.Activations.String(), Device: w.Device.Describe(), Launches: []tunedLaunch{}}
	for r.Runs = 1; ; r.Runs++ {
		if err := errors.Join(context.Cause(ctx), step.Run()); err != nil {
			return err
		}
		if w.Device.(*device.CPU).Trying() == 0 {
			break
		}
	}
	r.list(w.Device, step.Plan)
	return face.Result(r, r.print)
}

// list groups the launches of a plan by what is alike.
func (r *tuneResult) list(dev device.Device, p *plan.Plan) {
	known := map[string]int{}
	for _, l := range p.Launches {
		e, ok := entryOf(dev, l)
		if !ok || e.Best == nil {
			continue
		}
		name, operands := l.Kernel.String(), model.Operands(l)
		at, ok := known[name+operands]
		if !ok {
			r.Settled++
			at = len(r.Launches)
			r.Launches = append(r.Launches, tunedLaunch{Operator: name, Operands: operands, Cut: cutOf(dev, l)})
			known[name+operands] = at
		}
		r.Launches[at].Times++
	}
	r.Launches = slices.DeleteFunc(r.Launches, func(l tunedLaunch) bool { return l.Cut == nil })
	stable.Sort(r.Launches, func(a, b tunedLaunch) int { return cmp.Compare(b.Cut.Gain, a.Cut.Gain) })
}

func (r tuneResult) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, batch %d, %s, %s: of %d kinds of launches, %d are faster cut otherwise than by themselves; %d runs\n",
		r.Work, r.Preset, r.Batch, r.Precision, r.Device, r.Settled, len(r.Launches), r.Runs)
	for _, l := range r.Launches {
		fmt.Fprintf(&b, "%5d × %s: %s%v\n", l.Times, l.Operator, l.Operands, l.Cut)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

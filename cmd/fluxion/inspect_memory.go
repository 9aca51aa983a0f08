package main

import (
	"fmt"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
	"fluxion/engine/train"
	"fluxion/kernels"
)

// memoryRow is what a step takes with one recomputation, and what that costs.
type memoryRow struct {
	Recompute     string      `json:"recompute"`
	PlannedBytes  int64       `json:"planned_bytes"`
	BytesPerImage float64     `json:"bytes_per_image"` // of the line that memory is over the batch, here
	Lines         plan.Growth `json:"lines"`           // memory is the largest of
	MoreFLOPs     int64       `json:"more_flops"`
	MoreBytes     int64       `json:"more_bytes"`
}

// inspected is what inspect looks at: a step for a number of images.
type inspected struct {
	plan  *plan.Plan
	sizes plan.Sizes
}

// step compiles a training or sampling step.
func (o *inspectOptions) step(t train.StepOptions) (inspected, error) {
	if o.sample {
		s, err := generate.NewStep(generate.Options{
			Network: t.Network, Height: t.Height, Width: t.Width, Batch: t.Batch, Target: t.Target, Precision: t.Precision, Prepare: true, Without: t.Without,
		})
		if err != nil {
			return inspected{}, err
		}
		return inspected{s.Plan, s.Sizes()}, nil
	}
	s, err := train.NewStep(t)
	if err != nil {
		return inspected{}, err
	}
	return inspected{s.Micro, s.Sizes()}, nil
}

// memory lists what a step takes with every recomputation; one that samples has none.
func (o *inspectOptions) memory(t train.StepOptions) ([]memoryRow, error) {
	names := plan.RecomputationNames()
	if o.sample {
		names = names[:1]
	}
	var rows []memoryRow
	for _, name := range names {
		row := memoryRow{Recompute: name}
		t.Recompute = name
		growth, s, err := o.growth(t)
		if err != nil {
			return nil, err
		}
		again := s.plan.Recomputed()
		row.PlannedBytes, row.MoreFLOPs, row.MoreBytes = s.sizes.Bytes(), again.FLOPs, again.Bytes
		row.Lines, row.BytesPerImage = growth, growth.At(o.batch).PerImage
		rows = append(rows, row)
	}
	return rows, nil
}

// growth is the memory of a step over its batch, and the step of the batch that is looked at.
func (o *inspectOptions) growth(t train.StepOptions) (plan.Growth, inspected, error) {
	var at inspected
	growth, err := plan.GrowthAt(o.batch, func(batch int) (*plan.Plan, plan.Sizes, error) {
		t.Batch = batch
		s, err := o.step(t)
		if err == nil && batch == o.batch {
			at = s
		}
		return s.plan, s.sizes, err
	})
	return growth, at, err
}

// recomputeTable is the rows as a table; the arithmetic and traffic of the step make shares of what is more.
func recomputeTable(rows []memoryRow, cost kernels.Cost) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %12s %14s %12s %12s %12s\n", "recompute", "memory", "an image more", "for one", "arithmetic", "traffic")
	for _, r := range rows {
		more := func(part, whole int64) string { return fmt.Sprintf("+%.1f%%", 100*float64(part)/float64(whole)) }
		fmt.Fprintf(&b, "%-12s %12s %14s %12s %12s %12s\n", r.Recompute, console.Size(r.PlannedBytes), console.Size(int64(r.BytesPerImage)), console.Size(int64(r.Lines.Bytes(1))),
			more(r.MoreFLOPs, cost.FLOPs), more(r.MoreBytes, cost.Bytes))
	}
	return b.String()
}

// growthText says what memory is for any batch.
func growthText(g plan.Growth) string {
	const mib = 1 << 20
	var parts []string
	for _, l := range g {
		parts = append(parts, fmt.Sprintf("%.0f + %.2f·batch", l.Fixed/mib, l.PerImage/mib))
	}
	text := strings.Join(parts, ", ") + " MiB"
	if len(g) > 1 {
		text += ", whichever is most"
	}
	return text
}

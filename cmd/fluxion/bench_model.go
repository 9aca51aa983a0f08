package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"fluxion/cmd/fluxion/internal/console"
	"fluxion/cmd/fluxion/internal/workload"
	"fluxion/engine/device/model"
	"fluxion/kernels/number"
)

// modelText says what --device model:CARD does.
func modelText() string {
	return "--device model:CARD estimates instead: for a card that need not be there, from what the\nkernels count on the simulator; every line of it says model. Nothing is measured."
}

// modelResult is what bench prints of a model.
type modelResult struct {
	Model           string         `json:"model"` // the card; nothing here was measured
	Work            string         `json:"work"`
	Preset          string         `json:"preset"`
	Batch           int            `json:"batch"`
	Precision       string         `json:"precision"`
	ImagesPerSecond float64        `json:"images_per_second"`
	StepSeconds     float64        `json:"step_seconds"`
	Launches        int            `json:"launches"`     // kernels
	Bytes           int64          `json:"bytes"`        // operands once, and what kernels hand to each other
	IdealBytes      int64          `json:"ideal_bytes"`  // operands once
	MemoryBytes     float64        `json:"memory_bytes"` // that the second cache does not serve
	FLOPPerImage    float64        `json:"flop_per_image"`
	FLOPS           float64        `json:"flops"`
	PeakFLOPS       float64        `json:"peak_flops"` // of mma.sync, or of float32 lanes
	ShareOfPeak     float64        `json:"share_of_peak"`
	PlannedBytes    int64          `json:"planned_bytes"`
	Bounds          model.Bounds   `json:"bounds"`
	Assumptions     []string       `json:"assumptions"`
	Checks          []model.Check  `json:"checks"`
	TypicalError    float64        `json:"typical_error"` // of the model, beside published figures
	Ops             []model.Launch `json:"ops,omitempty"`

	network string // for people
}

func newModelResult(o workload.Options, m workload.Modelled, training bool) modelResult {
	r := modelResult{
		Model: m.Card.Name, Work: workload.Work(training), Preset: o.Preset, Batch: o.Batch, Precision: m.Activations.String(),
		StepSeconds: m.Step.Bounds.Seconds, ImagesPerSecond: float64(o.Batch) / m.Step.Bounds.Seconds,
		Launches: m.Step.Kernels, Bytes: m.Step.Bytes, IdealBytes: m.Step.Ideal, MemoryBytes: m.Step.Memory,
		FLOPPerImage: float64(m.FLOPs) / float64(o.Batch), PlannedBytes: m.Planned, Bounds: m.Step.Bounds,
		Assumptions: model.Assumptions(m.Card), Checks: m.Checks, TypicalError: model.Typical(m.Checks), network: o.Name(),
	}
	peak := m.Card.TensorPeak()
	if m.Activations == number.Float32 {
		peak = m.Card.ScalarPeak()
	}
	r.PeakFLOPS = peak * float64(m.Card.Multiprocessors)
	r.FLOPS = r.FLOPPerImage * r.ImagesPerSecond
	r.ShareOfPeak = r.FLOPS / r.PeakFLOPS
	return r
}

// lines begins every line with what it is.
func lines(out io.Writer, text string) error {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("model  " + line)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (r modelResult) head() string {
	return fmt.Sprintf("%s %s, batch %d, %s, on a %s: estimated, not measured\n", r.Work, r.network, r.Batch, r.Precision, r.Model)
}

func (r modelResult) foot() string {
	var b strings.Builder
	for _, a := range r.Assumptions {
		fmt.Fprintf(&b, "assumes     %s\n", a)
	}
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "checked     %v\n", c)
	}
	fmt.Fprintf(&b, "error       %.0f %% typically: the root of the mean square over figures of mma.sync and norms on known cards\n", 100*r.TypicalError)
	return b.String()
}

func (r modelResult) print(out io.Writer) error {
	b := r.Bounds
	return lines(out, r.head()+fmt.Sprintf(`images/s    %.0f
step        %.2f ms; by tensor instructions alone %.2f, others %.2f, shared memory %.2f, L2 %.2f, memory %.2f, beginning and waiting %.2f; %.2f as blocks are not spread evenly
arithmetic  %.1f TFLOP/s of %.1f, %.0f %%; %.2f GFLOP an image
kernels     %d launches
traffic     %.2f GB, of which operands %.2f; %.2f from and to the card's memory
memory      %s planned
`, r.ImagesPerSecond, 1e3*r.StepSeconds, 1e3*b.Tensor, 1e3*b.Issue, 1e3*b.Shared, 1e3*b.L2, 1e3*b.Memory, 1e3*b.Latency, 1e3*b.Idle,
		r.FLOPS/1e12, r.PeakFLOPS/1e12, 100*r.ShareOfPeak, r.FLOPPerImage/1e9, r.Launches,
		float64(r.Bytes)/1e9, float64(r.IdealBytes)/1e9, r.MemoryBytes/1e9, console.Size(r.PlannedBytes))+r.foot())
}

// printOps prints a line for each kind of launch, the longest first.
func (r modelResult) printOps(out io.Writer, top int) error {
	var b strings.Builder
	b.WriteString(r.head())
	fmt.Fprintf(&b, "%.2f ms in %d launches of kernels\n\n", 1e3*r.StepSeconds, r.Launches)
	fmt.Fprintf(&b, "%8s %6s %5s %7s %6s %5s %6s %7s  %s\n", "ms", "share", "times", "bound", "waves", "SM", "idle", "GB", "launch")
	rest, seconds := 0, 0.0
	for i, op := range r.Ops {
		if top > 0 && i >= top {
			rest, seconds = rest+op.Times, seconds+op.Bounds.Seconds
			continue
		}
		fmt.Fprintf(&b, "%8.3f %5.1f%% %5d %7s %6.2f %5d %6.3f %7.3f  %s: %s, %s\n", 1e3*op.Bounds.Seconds, 100*op.Bounds.Seconds/r.StepSeconds, op.Times, op.Bounds.Largest(),
			op.Bounds.Waves, op.Bounds.Held, 1e3*op.Bounds.Idle, float64(op.Times)*float64(op.Bytes)/1e9, op.Operator, op.Operands, op.Function)
	}
	if rest > 0 {
		fmt.Fprintf(&b, "%8.3f %5.1f%% %5d %36s  all others\n", 1e3*seconds, 100*seconds/r.StepSeconds, rest, "")
	}
	return lines(out, b.String()+"\n"+r.foot())
}

// runModel estimates a step, launch by launch if ops are asked for.
func runModel(ctx context.Context, o workload.Options, face console.Face, training, ops bool, top int) error {
	m, err := o.Model(ctx, training)
	if err != nil {
		return err
	}
	r := newModelResult(o, m, training)
	if ops {
		r.Ops = m.Step.Launches
		return face.Result(r, func(out io.Writer) error { return r.printOps(out, top) })
	}
	return face.Result(r, r.print)
}

package monitor

import (
	"context"

	"fluxion/engine/evaluate"
	"fluxion/engine/generate"
	"fluxion/engine/sampler"
	"fluxion/engine/train"
	"fluxion/kernels/update"
)

// sampling is how samples of the first average are made. They are those that fluxion
// sample makes by default, numbers 0 and up, classes in turn: the same noise in every
// evaluation, so that numbers of a run compare.
type sampling struct {
	step     *generate.Step
	request  generate.Request
	steps    int
	size     [3]int
	flops    float64 // of a sample
	training float64 // FLOPs of an image in training
}

// newSampling compiles it over the buffers of a training step.
func newSampling(of *train.Step, s train.Settings) (g sampling, err error) {
	method, err := sampler.Get(s.EvalSampler)
	if err != nil {
		return g, err
	}
	if g.steps = s.EvalSteps; g.steps == 0 {
		g.steps = s.SampleSteps
	}
	table, err := method.Plan(of.Objective.Process(), sampler.Options{Steps: g.steps})
	if err != nil {
		return g, &train.SettingError{Key: "eval_sampler", Problem: err.Error()}
	}
	memory, err := table.Memory(update.MaxHistory)
	if err != nil {
		return g, &train.SettingError{Key: "eval_sampler", Problem: err.Error()}
	}
	g.step, err = generate.NewStep(generate.Options{
		Network: of.Network, Height: of.Height, Width: of.Width, Batch: min(of.Batch, s.EvalCount), Slots: memory.Slots,
		Calls: len(table.Rows), Target: of.Target, Precision: of.Precision, Weights: of.Buffers.EMA,
	})
	if err != nil {
		return g, err
	}
	classes := of.NullClass
	g.request = generate.Request{Table: table, Guidance: generate.Guidance{Scale: 1}, Clip: table.Rows[0].Call.Limits(), NullClass: classes}
	for i := range s.EvalCount {
		g.request.Seeds = append(g.request.Seeds, int64(i))
		if classes > 0 {
			g.request.Classes = append(g.request.Classes, i%classes)
		}
	}
	g.size = [3]int{of.Height, of.Width, of.Network.Spec().Channels}
	g.flops = float64(g.step.Plan.Cost().FLOPs) / float64(g.step.Batch) * float64(len(table.Rows))
	g.training = float64(of.Cost().FLOPs) / float64(of.Batch*of.Accumulate)
	return g, nil
}

// of are the samples that a generator makes.
func (g sampling) of(generator *generate.Generator) evaluate.Source { return samples{g, generator} }

// samples are a source of images.
type samples struct {
	sampling
	generator *generate.Generator
}

func (samples) Name() string { return "the samples" }
func (s samples) Len() int   { return len(s.request.Seeds) }

func (s samples) Each(ctx context.Context, visit func(evaluate.Image) error) error {
	return s.generator.Run(ctx, s.request, func(_ int, made generate.Sample) error {
		return visit(evaluate.Image{Pixels: made.Pixels, Height: s.size[0], Width: s.size[1], Channels: s.size[2]})
	})
}

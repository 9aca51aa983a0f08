package monitor

import (
	"cmp"
	"context"
	"fmt"

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
	shapes    *generate.Shapes
	sizes     []generate.Size           // of the samples
	generator *generate.ShapesGenerator // nil until it is on the device
	settings  train.Settings
	given     train.Given // what the network is given; empty: nothing
	of        *train.Step // whose average is sampled
	decodes   bool        // samples are latents
	channels  int         // of what is seen of samples
	picture   func(latent []float32, of generate.Size) (pixels []byte, size generate.Size, err error)
}

// newSampling compiles it over the buffers of a training step, for samples of these sizes.
func newSampling(of *train.Step, s train.Settings, sizes []generate.Size) (g *sampling, err error) {
	g = &sampling{settings: s, of: of, sizes: sizes, channels: of.Network.Spec().Channels}
	slots, calls, spreads := 0, 0, false
	for _, images := range []int64{1, s.Images} { // a student may be trained for fewer steps later
		w := g.way(images)
		if few := of.Objective.Few(images); few != nil {
			err = few.Check(w.sampler, few.Grid, w.steps)
		}
		var table sampler.Table
		if err == nil {
			table, err = w.table(of)
		}
		var memory sampler.Memory
		if err == nil {
			memory, err = table.Memory(update.MaxHistory)
		}
		if err != nil {
			return nil, &train.SettingError{Key: "eval_sampler, eval_steps", Problem: err.Error()}
		}
		slots, calls, spreads = max(slots, memory.Slots), max(calls, len(table.Rows)), spreads || table.Spreads()
	}
	g.shapes, err = generate.NewShapes(generate.Options{
		Network: of.Network, Source: of.Objective.Process().Source, Batch: of.Batch, Slots: slots,
		Calls: calls, Spread: spreads, Target: of.Target, Precision: of.Precision, Weights: of.Buffers.EMA,
	}, sizes)
	return g, err
}

// way is by which sampler, and in how many steps on which grid.
type way struct {
	sampler, grid string
	steps         int
	few           *sampler.Few // that it is of; nil: none
}

// way after so many images: what the settings say, or else what the network is trained
// for, if that is a few steps, or as of grids of samples.
func (g *sampling) way(images int64) way {
	s := g.settings
	if few := g.of.Objective.Few(images); few != nil {
		return way{cmp.Or(s.EvalSampler, few.Sampler), few.Grid, cmp.Or(s.EvalSteps, few.Steps), few}
	}
	return way{cmp.Or(s.EvalSampler, train.GridSampler), "uniform", cmp.Or(s.EvalSteps, s.SampleSteps), nil}
}

func (w way) String() string { return fmt.Sprintf("by %s in %d steps", w.sampler, w.steps) }

func (w way) table(of *train.Step) (sampler.Table, error) {
	method, err := sampler.Get(w.sampler)
	if err != nil {
		return sampler.Table{}, err
	}
	o, err := method.Learning(sampler.Options{Grid: w.grid, Steps: w.steps}, of.Network.Spec().Variance)
	if err != nil {
		return sampler.Table{}, err
	}
	if w.few != nil && w.few.Sampler == w.sampler {
		o = w.few.Options(w.steps)
	}
	return method.Plan(of.Objective.Process(), o)
}

// flops of a sample, and of an image in training.
func (g *sampling) flops() (sample, training float64) {
	table, err := g.way(1).table(g.of)
	if err != nil {
		return 0, 0 // which newSampling has told
	}
	sample = g.shapes.FLOPs(len(table.Rows)) / float64(len(g.sizes))
	return sample, float64(g.of.Cost().FLOPs) / float64(g.of.Batch*g.of.Accumulate)
}

// after are the samples after so many images.
func (g *sampling) after(images int64) (evaluate.Source, error) {
	table, err := g.way(images).table(g.of)
	if err != nil {
		return nil, err
	}
	classes := g.of.NullClass
	r := generate.Request{Table: table, Guidance: generate.Guidance{Scale: g.of.Network.Spec().Unguided()}, Clip: !g.decodes && table.Rows[0].Call.Limits(), NullClass: classes}
	for i := range g.settings.EvalCount {
		r.Seeds = append(r.Seeds, int64(i))
		if classes > 0 {
			r.Classes = append(r.Classes, i%classes)
		}
	}
	g.of.Label(&r, false)
	if g.given.Classes != nil {
		g.given.Of(&r, g.of.Network, g.of.Objective.Process().Source, classes)
	}
	return samples{g, r}, nil
}

// samples are a source of images.
type samples struct {
	*sampling
	request generate.Request
}

func (samples) Name() string { return "the samples" }
func (s samples) Len() int   { return len(s.request.Seeds) }

func (s samples) Each(ctx context.Context, visit func(evaluate.Image) error) error {
	return s.generator.Run(ctx, s.request, func(i int, made generate.Sample) (err error) {
		size := s.sizes[i]
		if s.decodes {
			if made.Pixels, size, err = s.picture(made.Values, size); err != nil {
				return err
			}
		}
		return visit(evaluate.Image{Pixels: made.Pixels, Height: size.Height, Width: size.Width, Channels: s.channels})
	})
}

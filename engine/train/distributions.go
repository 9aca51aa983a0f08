package train

import (
	"context"

	"fluxion/engine/plan"
	"fluxion/engine/record"
)

// Distributions are those of every parameter and of its gradient in the step before, as
// long as nothing else has run since.
func (t *Trainer) Distributions() ([]record.Distribution, error) {
	var list []record.Distribution
	add := func(kind string, b *plan.Buffer, factor float64) error {
		for _, p := range t.Trained.Params {
			values := make([]float32, p.Size())
			if err := t.Memory.Read(b, p.Offset, values); err != nil {
				return err
			}
			d := record.Distribution{Name: kind + "/" + p.Name}
			d.Counts.Add(values, float32(factor))
			list = append(list, d)
		}
		return nil
	}
	if err := add("weights", t.Buffers.Parameters, 1); err != nil {
		return nil, err
	}
	return list, add("gradients", t.gradients(), t.gradScale())
}

// distributionHook tells them with every grid. Sampling comes after it, in memory that
// holds the gradients.
func (r *run) distributionHook() Hook {
	h := Hook{Name: "distributions", Every: r.settings.SampleEvery, Pauses: true}
	if r.distributions {
		h.After = func(_ context.Context, p Progress) error {
			if err := r.bring(p.Trainer.gradients()); err != nil {
				return err
			}
			list, err := p.Trainer.Distributions()
			if err != nil {
				return err
			}
			return r.record.Distributions(p.Images, list)
		}
	}
	return h
}

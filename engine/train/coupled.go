package train

import (
	"context"

	"fluxion/data"
	"fluxion/engine/couple"
)

// coupled is a stream of batches whose noise is paired, step by step. So many batches in a
// row, which the stream must be able to lend at a time, are a step.
type coupled struct {
	data.Stream
	coupling couple.Coupling
	draw     func(address int64, to []float32) // as in couple.Step
	batches  int                               // of a step
	size     int                               // values of an image
	waiting  []*data.Batch
	values   []float32 // of the images of a step
}

// Next returns the next batch.
func (s *coupled) Next(ctx context.Context) (*data.Batch, error) {
	if len(s.waiting) == 0 {
		if err := s.step(ctx); err != nil {
			return nil, err
		}
	}
	b := s.waiting[0]
	s.waiting = s.waiting[1:]
	return b, nil
}

// step reads the batches of a step and pairs them.
func (s *coupled) step(ctx context.Context) error {
	var all []*data.Batch
	for range s.batches {
		b, err := s.Stream.Next(ctx)
		if err != nil {
			for _, b := range all {
				s.Release(b)
			}
			return err
		}
		all = append(all, b)
	}
	n := len(all[0].Indices)
	if s.values == nil {
		s.values = make([]float32, s.batches*n*s.size)
	}
	step := couple.Step{Draw: s.draw}
	for k, b := range all {
		values := s.values[k*n*s.size:][:n*s.size]
		b.Pixels.Values(values)
		for i := range n {
			step.Images = append(step.Images, values[i*s.size:][:s.size])
		}
		step.Classes, step.Noise = append(step.Classes, b.Classes...), append(step.Noise, b.Noise...)
	}
	s.coupling.Pair(step)
	for k, b := range all {
		copy(b.Noise, step.Noise[k*n:])
	}
	s.waiting = all
	return nil
}

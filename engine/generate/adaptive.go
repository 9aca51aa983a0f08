package generate

import (
	"context"
	"errors"
	"fmt"

	"fluxion/engine/device"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/update"
)

// Adaptive is a sampler that chooses its steps while it runs, on a grid.
type Adaptive struct {
	Sampler sampler.Sampler
	Grid    sampler.Grid
	Options sampler.Options
}

// adapt makes one image with an adaptive sampler, so that its steps depend on
// it alone. The sampling step serves as the network: the host writes the state
// and an update that returns the output in its place. Every place of the batch
// holds the same image; a batch of one wastes nothing. Networks that condition on
// their last estimate are given none: what is integrated is a function of the
// state and the time, or the error of a step would not be known.
func (g *Generator) adapt(ctx context.Context, r Request, i int) (s Sample, err error) {
	a := r.Adaptive
	begin := a.Grid.Points[0]
	for k := range g.images {
		g.images[k] = r.Seeds[i]
	}
	g.head.Seed, g.head.Scale = r.Seed, float32(begin.Sigma)
	g.begin(r, begin.Alpha)
	if err := device.Run(g.start); err != nil {
		return s, err
	}
	alone := func(int) int { return i }
	if err := errors.Join(g.classes(r, alone), g.given(r, alone), g.change(r, begin.Alpha, begin.Sigma, alone)); err != nil {
		return s, err
	}
	sample := g.Plan.Place(g.Graph.Sample)
	values := make([]float32, g.Graph.Sample.Shape().TotalSize())
	if err := g.program.Read(sample, values); err != nil {
		return s, err
	}
	var none []float32
	if g.estimate != nil {
		none = make([]float32, len(values))
	}
	n := g.shape.Values()
	z := make([]float64, n)
	for k := range z {
		z[k] = float64(values[k])
	}
	calls := 0
	network := func(q process.Point, z []float64) ([]float64, error) {
		calls++
		for k := range values {
			values[k] = float32(q.Input * z[k%n])
		}
		if err := g.program.Write(sample, values); err != nil {
			return nil, err
		}
		if g.estimate != nil {
			if err := g.program.Write(g.Plan.Place(g.estimate), none); err != nil {
				return nil, err
			}
		}
		x, err := q.X()
		if err != nil {
			x = process.Linear{} // nothing is limited where there is no x̂
		}
		x.Z /= q.Input
		err = g.program.RunSteps(1, func(int) error {
			g.call(update.Row{B: 1, Store: -1}, r, q, x, 0)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if err := g.program.Read(sample, values); err != nil {
			return nil, err
		}
		y := make([]float64, n)
		for k := range y {
			y[k] = float64(values[k])
		}
		return y, checkState(r.Seeds[i], fmt.Sprintf("the network's output at t = %.4g", q.Time), y)
	}
	path, err := a.Sampler.Adapt(ctx, a.Grid, a.Options, z, network)
	if bad := (*NotFiniteError)(nil); errors.As(err, &bad) {
		return s, bad
	}
	if err != nil {
		return s, fmt.Errorf("image %d: %w", r.Seeds[i], err)
	}
	last := path.States[len(path.States)-1]
	if err := checkState(r.Seeds[i], endState, last); err != nil {
		return s, err
	}
	s = Sample{make([]byte, n), make([]float32, n), calls}
	by := unit(a.Grid)
	for k, v := range last {
		s.Values[k] = float32(v / by)
		s.Pixels[k] = update.Pixel(s.Values[k])
	}
	return s, nil
}

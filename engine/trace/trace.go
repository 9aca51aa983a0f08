// Package trace runs samplers in float64 on denoisers in closed form: the
// mathematics of packages process and sampler without a network.
package trace

import (
	"context"
	"fmt"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/philox"
)

// Setup is what to run: a sampler on a grid of a process.
type Setup struct {
	Process process.Process
	Sampler sampler.Sampler
	Grid    sampler.Grid
	Options sampler.Options // of the sampler; the grid is Grid
}

// Config is a setup by names, as on the command line.
type Config struct {
	Schedule  string
	Modifiers process.ScheduleOptions
	Output    string
	Sampler   string
	Options   sampler.Options // of the grid as well
}

// Resolve looks the names up and makes the grid.
func (c Config) Resolve() (Setup, error) {
	p, err := process.Get(c.Schedule, c.Modifiers, c.Output)
	if err != nil {
		return Setup{}, err
	}
	s, err := sampler.Get(c.Sampler)
	if err != nil {
		return Setup{}, err
	}
	if _, err := s.Check(c.Options); err != nil {
		return Setup{}, err
	}
	if _, err := s.Learning(c.Options, false); err != nil {
		return Setup{}, err
	}
	g, err := sampler.NewGrid(p, c.Options)
	return Setup{p, s, g, c.Options}, err
}

// Noise returns draw number i of a run, n standard normal numbers.
type Noise func(i, n int) ([]float64, error)

// SeededNoise draws from the same stream as sampling on networks does for image 0.
func SeededNoise(seed uint64) Noise {
	return func(i, n int) ([]float64, error) {
		values := make([]float32, n)
		philox.Normal(values, seed, philox.SampleNoise, 0, uint32(i))
		draw := make([]float64, n)
		for k, v := range values {
			draw[k] = float64(v)
		}
		return draw, nil
	}
}

// GivenNoise hands out draws in the order in which the sampler asks for them.
func GivenNoise(draws [][]float64) Noise {
	return func(i, n int) ([]float64, error) {
		if i >= len(draws) {
			return nil, fmt.Errorf("the sampler draws noise more than %d times; want one list for each draw", len(draws))
		}
		if len(draws[i]) != n {
			return nil, fmt.Errorf("draw %d of the noise has %d numbers, want %d", i, len(draws[i]), n)
		}
		return draws[i], nil
	}
}

// Call is a call of the denoiser.
type Call struct {
	Position float64 // in the grid; between two entries for a call between them
	Point    process.Point
}

// Result is what a run went through.
type Result struct {
	States  [][]float64 // at the entries of the grid
	Calls   []Call
	Weights *sampler.Weights
}

// Run runs a setup from a state in the schedule's own units.
func (s Setup) Run(ctx context.Context, z []float64, d Denoiser, noise Noise) (Result, error) {
	model := func(q process.Point, z []float64) ([]float64, error) {
		y, err := d.Output(q, z)
		if err != nil {
			return nil, fmt.Errorf("denoiser at t = %.6g: %w", q.Time, err)
		}
		return y, nil
	}
	if s.Sampler.Adaptive {
		path, err := s.Sampler.Adapt(ctx, s.Grid, s.Options, z, model)
		r := Result{States: path.States, Weights: &path.Weights}
		for i, q := range path.Calls {
			r.Calls = append(r.Calls, Call{path.Places[i], q})
		}
		return r, err
	}
	table, err := s.Sampler.Table(s.Grid, s.Options)
	if err != nil {
		return Result{}, err
	}
	if table.Leads() {
		return s.runMap(ctx, table, z, model, noise)
	}
	return Execute(ctx, table, z, model, noise)
}

// Adjust changes the output y of row i, which came for the state z, before it is
// used, and may add something to the state after the row.
type Adjust func(i int, z, y []float64) (changed, added []float64)

// Execute runs a table in float64, row by row as it stands.
func Execute(ctx context.Context, t sampler.Table, z []float64, model sampler.Model, noise Noise) (Result, error) {
	return ExecuteWith(ctx, t, z, model, noise, func(_ int, _, y []float64) ([]float64, []float64) { return y, nil })
}

// ExecuteWith is Execute with something done to every output.
func ExecuteWith(ctx context.Context, t sampler.Table, z []float64, model sampler.Model, noise Noise, adjust Adjust) (Result, error) {
	weights := t.Weights()
	r := Result{States: [][]float64{z}, Weights: &weights}
	drawn := 0
	draw := func() ([]float64, error) {
		drawn++
		return noise(drawn-1, len(z))
	}
	var kept [][]float64
	last := make([]float64, len(z)) // the noise of the row before
	for i, row := range t.Rows {
		if err := context.Cause(ctx); err != nil {
			return Result{}, err
		}
		if row.Before != (sampler.Lift{}) {
			raised := scaled(z, row.Before.A)
			if row.Before.C != 0 {
				xi, err := draw()
				if err != nil {
					return Result{}, err
				}
				add(raised, row.Before.C, xi)
			}
			z = raised
		}
		y, err := model(row.Call, z)
		if err != nil {
			return Result{}, err
		}
		r.Calls = append(r.Calls, Call{row.Position, row.Call})
		y, added := adjust(i, z, y)
		keep := y
		if row.Keep != (process.Linear{}) {
			keep = scaled(z, row.Keep.Z)
			add(keep, row.Keep.Y, y)
		}
		next := scaled(z, row.A)
		add(next, row.B[0], y)
		for k, b := range row.B[1:] {
			add(next, b, kept[i-1-k])
		}
		add(next, row.Recall, last)
		if row.C != 0 {
			if last, err = draw(); err != nil {
				return Result{}, err
			}
			add(next, row.C, last)
		}
		if added != nil {
			add(next, 1, added)
		}
		kept = append(kept, keep)
		if z = next; row.Arrives {
			r.States = append(r.States, z)
		}
	}
	return r, nil
}

func scaled(z []float64, by float64) []float64 {
	s := make([]float64, len(z))
	add(s, by, z)
	return s
}

// add adds a multiple; of 0 nothing, whatever y holds.
func add(z []float64, by float64, y []float64) {
	if by == 0 {
		return
	}
	for i := range z {
		z[i] += by * y[i]
	}
}

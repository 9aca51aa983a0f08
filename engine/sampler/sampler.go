// Package sampler holds every sampler as a table of coefficients. Whatever the
// method, a step from time t to time s is one line (process.md, section 4):
//
//	z' = A z + Σₖ Bₖ yₖ + C ξ
//
// with y₀ the network's output at t, y₁ the one of the call before, and so on,
// and ξ standard normal. A sampler is a short function from the points of a
// grid to these coefficients, in float64; one kernel (kernels/update) runs them
// all.
package sampler

import (
	"fmt"

	"fluxion/engine/process"
)

// Row is one call of the network and the update that follows it.
type Row struct {
	Time        float64   // t of the call
	NetworkTime float64   // what the network is told
	A           float64   // of the state
	B           []float64 // of the output of this call, the one before, …
	C           float64   // of fresh noise

	X process.Linear // x̂ of this call from z and y₀: for clipping and previews
}

// Table is a whole run: z = Start·ξ, then the rows. What the last one gives is
// a sample of the data.
type Table struct {
	Start float64
	Rows  []Row
}

// MaxOutputs is how many outputs a row may combine: its own and four before.
const MaxOutputs = 5

// Sampler turns a grid into rows. The points are the process at decreasing
// times; the last is process.Data, so that every sampler ends on x̂ without
// noise, whatever the schedule has at t = 0.
type Sampler struct {
	Name string
	Rows func(points []process.Point) ([]Row, error)
}

// Adding a sampler is a file and a line here.
var samplers = []Sampler{
	{"euler", euler},
	{"ddim", ddim},
	{"ddpm", ddpm},
}

// Names returns the names that Get knows.
func Names() []string {
	names := make([]string, len(samplers))
	for i, s := range samplers {
		names[i] = s.Name
	}
	return names
}

// Get returns a sampler by name.
func Get(name string) (Sampler, error) {
	i, err := process.Find("sampler", name, Names())
	if err != nil {
		return Sampler{}, err
	}
	return samplers[i], nil
}

// Options of a run.
type Options struct {
	Steps int // intervals of the grid
}

// Plan returns the table of a sampler for a process.
func (s Sampler) Plan(p process.Process, o Options) (Table, error) {
	points, err := Grid(p, o)
	if err != nil {
		return Table{}, fmt.Errorf("sampler %s: %w", s.Name, err)
	}
	rows, err := s.Rows(points)
	if err != nil {
		return Table{}, fmt.Errorf("sampler %s on %v: %w", s.Name, p, err)
	}
	return Table{Start: points[0].Sigma, Rows: rows}, nil
}

// Grid returns Steps+1 points, uniform in time from the process's start (1
// wherever the output allows) to the data. It is the only place that makes
// times; a step goes from an entry to the next entry, never by arithmetic on t.
func Grid(p process.Process, o Options) ([]process.Point, error) {
	if o.Steps < 1 {
		return nil, fmt.Errorf("%d steps, want at least 1", o.Steps)
	}
	start := p.Start()
	points := make([]process.Point, o.Steps+1)
	for i := range o.Steps {
		points[i] = p.At(start * float64(o.Steps-i) / float64(o.Steps))
	}
	points[o.Steps] = process.Data
	return points, nil
}

// each makes the rows of a sampler that looks at one interval at a time. step
// returns z' as a combination of z and y, and the coefficient of the noise.
func each(points []process.Point, step func(t, s process.Point, x, eps process.Linear) (next process.Linear, noise float64)) ([]Row, error) {
	rows := make([]Row, len(points)-1)
	for i, t := range points[:len(rows)] {
		x, eps, err := t.Convert()
		if err != nil {
			return nil, err
		}
		next, noise := step(t, points[i+1], x, eps)
		rows[i] = Row{t.Time, t.NetworkTime, next.Z, []float64{next.Y}, noise, x}
	}
	return rows, nil
}

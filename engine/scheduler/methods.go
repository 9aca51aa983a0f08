package scheduler

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// method is a sampler of package sampler as a scheduler config describes it.
type method struct {
	name    string
	options sampler.Options

	finalNoise   float64 // on the result of ddpm
	floor, scale float64 // lcm: noise √(σ_s² − floor²) times scale, if scale is not 0
}

// run makes the rows of a method on the points.
func (p *planner) run(m method) error {
	s, err := sampler.Get(m.name)
	if err != nil {
		return err
	}
	if err := p.begin(&m); err != nil {
		return err
	}
	m.options.Literal = true // every step is the config's
	p.Method, p.End = m.name, p.points[len(p.points)-1]
	if slices.Contains([]string{"dpm++-3m", "dpm++-3m-sde"}, m.name) && reaches(m.options, len(p.points)-1) {
		m.options.Compat = !p.correct(thirdOrder)
	}
	if p.Rows, err = p.rows(s, m.options); err != nil {
		return err
	}
	if err := p.raise(); err != nil {
		return err
	}
	last := len(p.Rows) - 1
	if m.finalNoise != 0 {
		p.Rows[last].C = m.finalNoise
	}
	for i, q := range p.points[1:] { // each is a call's target: lcm makes one call a step
		if m.scale != 0 {
			p.Rows[i].C = m.scale * math.Sqrt(math.Max(0, q.Sigma*q.Sigma-m.floor*m.floor))
		}
	}
	p.Excess = make([]float64, len(p.Rows))
	if m.name == "ddim" && p.Limit != (Limit{}) {
		for i := range p.Rows {
			p.Excess[i] = p.excess(p.Rows[i], p.interval(i)[1])
		}
	}
	// An interval without length at the end of a grid is a call for nothing.
	if r := p.Rows[last]; last > 0 && math.Abs(r.A-1) < 1e-9 && len(r.B) == 1 && math.Abs(r.B[0]) < 1e-9 && r.C == 0 {
		p.Rows, p.Excess = p.Rows[:last], p.Excess[:last]
	}
	return nil
}

// begin leaves the first intervals out.
func (p *planner) begin(m *method) error {
	p.beginRead = true
	if last := len(p.points) - 2; p.Begin < 0 || p.Begin > last {
		return fmt.Errorf("start at entry %d of the grid, want 0 to %d", p.Begin, last)
	}
	p.points = p.points[p.Begin:]
	if p.raised != nil {
		p.raised = p.raised[p.Begin:]
	}
	for _, ends := range []map[int]process.Point{p.from, p.to} {
		moved := map[int]process.Point{}
		for i, q := range ends {
			moved[i-p.Begin] = q
		}
		maps.Copy(ends, moved)
	}
	steps := slices.Clone(m.options.Uncorrected)
	for i := range steps {
		steps[i] -= p.Begin
	}
	m.options.Uncorrected = steps
	return nil
}

// rows are those of a sampler on the grid, or interval by interval where a
// defect of diffusers leaves from or goes to other points.
func (p *planner) rows(s sampler.Sampler, o sampler.Options) ([]sampler.Row, error) {
	if len(p.from)+len(p.to) == 0 {
		t, err := s.Table(p.grid(p.points), o)
		return t.Rows, err
	}
	var rows []sampler.Row
	for i := range len(p.points) - 1 {
		t, err := s.Table(p.grid(p.interval(i)), o)
		if err != nil {
			return nil, err
		}
		rows = append(rows, t.Rows...)
	}
	return rows, nil
}

// grid is one of points alone: its schedule is no more than a name for messages.
func (p *planner) grid(points []process.Point) sampler.Grid {
	return sampler.Grid{Process: process.Process{Schedule: nameOnly{name: p.Class}, Output: process.Output{Name: p.Output}}, Points: points}
}

type nameOnly struct {
	process.Schedule
	name string
}

func (n nameOnly) Name() string { return n.name }

// interval returns the ends of interval i.
func (p *planner) interval(i int) []process.Point {
	ends := slices.Clone(p.points[i : i+2])
	if q, ok := p.from[i]; ok {
		ends[0] = q
	}
	if q, ok := p.to[i]; ok {
		ends[1] = q
	}
	return ends
}

// reaches reports whether a run of some steps has one of the method's order.
func reaches(o sampler.Options, steps int) bool {
	for k := range steps {
		order, left := min(o.Order, k+1), steps-k
		if o.LowerOrderFinal {
			order = min(order, left)
		}
		if order == o.Order && (left > 1 || !o.FirstOrderFinal) {
			return true
		}
	}
	return false
}

// excess is how much of a change of x̂ comes into z' beside what the changed
// output brings, in a step of DDIM to s.
func (p *planner) excess(r sampler.Row, s process.Point) float64 {
	t := r.Call
	direction := math.Sqrt(math.Max(0, s.Sigma*s.Sigma-r.C*r.C))
	switch {
	case t.Sigma == 0: // z is x̂, and ε̂ stands apart
		return s.Alpha
	case direction != 0 && !p.correct(clippedEps):
		return direction * t.Alpha / t.Sigma
	}
	return 0
}

// addRow appends a row that this package makes itself.
func (p *planner) addRow(row sampler.Row) {
	row.Arrives = true
	p.Rows, p.Excess = append(p.Rows, row), append(p.Excess, 0)
}

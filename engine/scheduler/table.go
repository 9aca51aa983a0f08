package scheduler

import (
	"slices"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// Table is the plan as a table of package sampler. Every call is an entry of its
// grid, those between the config's own as well.
func (p Plan) Table() sampler.Table {
	t := sampler.Table{Sampler: p.Method, Rows: slices.Clone(p.Rows)}
	for i := range t.Rows {
		t.Rows[i].Position, t.Rows[i].Arrives = float64(i), true
		t.Grid.Points = append(t.Grid.Points, t.Rows[i].Call)
	}
	t.Start = p.Start
	t.Grid.Points = append(t.Grid.Points, p.End)
	t.Grid.Process = process.Process{Schedule: nameOnly{name: p.Class}, Output: process.Output{Name: p.Output}}
	return t
}

// Adjust limits x̂ of row i and returns the output that says so, and what comes
// to the state after the row beside it. Where x̂ is z itself no output says so.
func (p Plan) Adjust(i int, z, y []float64) (changed, added []float64) {
	if p.Limit == (Limit{}) {
		return y, nil
	}
	row := p.Rows[i]
	x := make([]float64, len(z))
	for j := range z {
		x[j] = row.X.Z*z[j] + row.X.Y*y[j]
	}
	limited := slices.Clone(x)
	p.Limit.Apply(limited)
	changed, added = slices.Clone(y), make([]float64, len(z))
	for j := range x {
		by := limited[j] - x[j]
		if row.X.Y != 0 {
			changed[j] += by / row.X.Y
		}
		added[j] = p.Excess[i] * by
	}
	return changed, added
}

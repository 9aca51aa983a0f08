package scheduler

import (
	"fmt"
	"slices"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// Network is a denoiser: the output for an input (Point.Input times z) at a
// point of a plan.
type Network func(q process.Point, input []float64) ([]float64, error)

// Run executes the plan in float64 on one image and returns every state: z,
// then what each row gives. noise returns the next draw of z's length; it is
// called for the rows with C ≠ 0, in order.
func (p Plan) Run(z []float64, network Network, noise func() ([]float64, error)) ([][]float64, error) {
	states := [][]float64{z}
	var kept [][]float64
	xi := make([]float64, len(z)) // of the row before
	for i, row := range p.Rows {
		input := make([]float64, len(z))
		for j, v := range z {
			input[j] = row.Call.Input * v
		}
		y, err := network(row.Call, input)
		if err != nil {
			return nil, fmt.Errorf("call %d: %w", i, err)
		}
		y, changed := p.Limit.change(row, z, y)
		next, keep := make([]float64, len(z)), y
		for j := range z {
			next[j] = row.A*z[j] + row.B[0]*y[j] + row.Recall*xi[j] + p.Excess[i]*changed[j]
			for k, b := range row.B[1:] {
				next[j] += b * kept[i-1-k][j]
			}
		}
		if row.Keep != (process.Linear{}) {
			keep = make([]float64, len(z))
			for j := range z {
				keep[j] = row.Keep.Z*z[j] + row.Keep.Y*y[j]
			}
		}
		if row.C != 0 {
			if xi, err = noise(); err != nil {
				return nil, fmt.Errorf("noise of call %d: %w", i, err)
			}
			if len(xi) != len(z) {
				return nil, fmt.Errorf("noise of call %d has %d values, want %d as z", i, len(xi), len(z))
			}
			for j, v := range xi {
				next[j] += row.C * v
			}
		}
		kept, z = append(kept, keep), next
		states = append(states, z)
	}
	return states, nil
}

// change limits x̂ and returns the output that says so, and by how much x̂
// changed. Where x̂ is z itself no output says so.
func (l Limit) change(row sampler.Row, z, y []float64) (changed, excess []float64) {
	excess = make([]float64, len(z))
	if l == (Limit{}) {
		return y, excess
	}
	x := make([]float64, len(z))
	for j := range z {
		x[j] = row.X.Z*z[j] + row.X.Y*y[j]
		excess[j] = -x[j]
	}
	l.Apply(x)
	changed = slices.Clone(y)
	for j, v := range x {
		excess[j] += v
		if row.X.Y != 0 {
			changed[j] += excess[j] / row.X.Y
		}
	}
	return changed, excess
}

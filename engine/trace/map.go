package trace

import (
	"context"
	"fmt"
	"math"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// jumpTolerance is that of rk45, which stands for a flow map.
const jumpTolerance = 1e-9

// runMap runs a table for flow maps on the map of a denoiser's own flow.
func (s Setup) runMap(ctx context.Context, table sampler.Table, z []float64, model sampler.Model, noise Noise) (Result, error) {
	flow, err := sampler.Get("rk45")
	if err != nil {
		return Result{}, err
	}
	var failed error
	r, err := ExecuteWith(ctx, table, z, model, noise, func(i int, z, y []float64) ([]float64, []float64) {
		q := table.Rows[i].Call
		if failed != nil || table.Rows[i].Jump == 0 {
			return y, nil
		}
		from := q.Sigma / (q.Alpha + q.Sigma)
		leads := from * (1 - table.Rows[i].Jump/q.NetworkTime)
		to := s.Process.End()
		if leads > 1e-12 {
			to = s.Process.AtLogSNR(2 * (math.Log1p(-leads) - math.Log(leads)))
		}
		path, err := flow.Adapt(ctx, sampler.Grid{Process: s.Process, Points: []process.Point{q, to}}, sampler.Options{Tolerance: jumpTolerance}, z, model)
		if err != nil {
			failed = fmt.Errorf("following the flow from t = %.6g: %w", q.Time, err)
			return y, nil
		}
		return meanVelocity(q, to, z, path.States[len(path.States)-1]), nil
	})
	if failed != nil {
		return Result{}, failed
	}
	return r, err
}

// meanVelocity is the output of a flow map that leads from z at q to end at r: x and ε of
// the straight path through both.
func meanVelocity(q, r process.Point, z, end []float64) []float64 {
	n, m := q.Alpha+q.Sigma, r.Alpha+r.Sigma
	from, to := q.Sigma/n, r.Sigma/m
	y := make([]float64, len(z))
	for k := range y {
		u := (z[k]/n - end[k]/m) / (from - to)
		y[k] = q.Inferred(z[k]/n-from*u, z[k]/n+(1-from)*u)
	}
	return y
}

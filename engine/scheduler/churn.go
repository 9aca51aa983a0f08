package scheduler

import (
	"math"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// Churn raises the noise of a state before its call: Karras et al. (2022),
// algorithm 2. The zero value does nothing.
type Churn struct {
	Amount   float64 // S_churn, spread over the steps
	Min, Max float64 // σ between which it is done; Max 0 is everywhere
	Scale    float64 // S_noise, 0 is 1
}

// raised is an interval of the grid that begins with more noise.
type raised struct {
	noise float64       // that is added
	point process.Point // where the state is then
}

// churn notes the intervals of a grid on z = x + σε that begin with more noise.
// time is what the network is told at a level between the grid's.
func (p *planner) churn(time func(sigma float64) float64) {
	p.churnRead = true
	c := p.Options.Churn
	if c.Amount == 0 {
		return
	}
	if c.Scale == 0 {
		c.Scale = 1
	}
	calls := len(p.points) - 1
	gamma := math.Min(c.Amount/float64(calls), math.Sqrt2-1)
	p.raised = make([]raised, calls)
	for i, q := range p.points[:calls] {
		if q.Sigma < c.Min || c.Max != 0 && q.Sigma > c.Max {
			continue
		}
		sigma := (1 + gamma) * q.Sigma
		p.vary(time(sigma), sigma)
		last := len(p.points) - 1
		p.raised[i] = raised{c.Scale * math.Sqrt(sigma*sigma-q.Sigma*q.Sigma), p.points[last]}
		p.points = p.points[:last]
	}
}

// raise makes the rows of Euler's method begin with more noise. The network is
// called with it; diffusers calls it before and adds the noise to the state
// alone, and for v has x̂ at the level without it.
func (p *planner) raise() error {
	for i, up := range p.raised {
		if up.noise == 0 {
			continue
		}
		t, s := p.points[i], p.points[i+1]
		row := &p.Rows[i]
		if p.correct(lateChurn) {
			x, eps, err := up.point.Convert()
			if err != nil {
				return err
			}
			next := x.Plus(s.Alpha, eps, s.Sigma)
			*row = sampler.Row{Call: up.point, Before: sampler.Lift{A: 1, C: up.noise}, A: next.Z, B: []float64{next.Y}, X: x}
			continue
		}
		at := up.point
		if p.Output == "v" {
			at = t
		}
		x, err := at.X()
		if err != nil {
			return err
		}
		r := s.Sigma/up.point.Sigma - 1
		row.A, row.B = 1+(1-x.Z)*r, []float64{-x.Y * r}
		row.C = row.A * up.noise
	}
	return nil
}

package scheduler

import (
	"math"

	"fluxion/engine/sampler"
)

// tcd is Zheng et al., "Trajectory Consistency Distillation" (2024).
type tcd struct{ consistencyKeys }

func newTCD() Class { return &tcd{consistencyDefaults()} }

func (c *tcd) plan(p *planner) error {
	switch {
	case c.ClipSample:
		return refuse("clip_sample", true, "false: this class of diffusers has the key and never clips")
	case c.Thresholding:
		return refuse("thresholding", true, "false: this class of diffusers has the key and never clips")
	}
	alphas, err := p.discrete(c.betas, c.RescaleBetasZeroSNR, c.PredictionType)
	if err != nil {
		return err
	}
	times, err := c.times(p)
	if err != nil {
		return err
	}
	for _, n := range times {
		p.preserving(n, alphas[int(n)])
	}
	usual := 0.3
	// The last step ends at time 0 and not at the data.
	p.preserving(0, alphas[0])
	return p.tcd(times, alphas, *p.eta(&usual))
}

// tcd jumps along the trajectory to time (1−η) s and adds noise up to s: Zheng
// et al. (2024), algorithm 4.
func (p *planner) tcd(times, alphas []float64, eta float64) error {
	if !(eta >= 0 && eta <= 1) {
		return refuse("eta", eta, "a number from 0 to 1")
	}
	p.Method, p.End = "tcd", p.points[len(p.points)-1]
	for i, t := range p.points[:len(times)] {
		s := p.points[i+1]
		jump := p.at(alphas, int(math.Floor((1-eta)*s.NetworkTime)), s)
		x, eps, err := t.Convert()
		if err != nil {
			return err
		}
		ratio := s.Alpha / jump.Alpha
		next := x.Plus(ratio*jump.Alpha, eps, ratio*jump.Sigma)
		row := sampler.Row{Call: t, A: next.Z, B: []float64{next.Y}, X: x}
		if i+1 < len(times) {
			row.C = math.Sqrt(math.Max(0, 1-ratio*ratio))
		}
		p.addRow(row)
	}
	return nil
}

package scheduler

import (
	"math"

	"fluxion/engine/process"
)

// start is what the first noise is multiplied by: σ where a picture is below it, or
// where theory has its way; else what diffusers calls init_noise_sigma.
func (p *planner) start(c Class) float64 {
	first := p.points[0]
	if !p.Drawn || p.Begin != 0 {
		return first.Sigma
	}
	theirs := 1.0 // of classes whose state has the deviation of noisy data of deviation 1
	if k, ok := c.(interface {
		initial(first process.Point) float64
	}); ok {
		theirs = k.initial(first)
	}
	if math.Abs(theirs-first.Sigma) <= 1e-12*first.Sigma || !p.correct(loudStart) {
		return theirs
	}
	return first.Sigma
}

// unitData is the deviation of z = x + σε for data of deviation 1.
func unitData(q process.Point) float64 { return math.Hypot(1, q.Sigma) }

// explodingStart is that of the classes on z = x + σε.
func (s spacing) explodingStart(q process.Point) float64 {
	if s.TimestepSpacing == "linspace" || s.TimestepSpacing == "trailing" {
		return q.Sigma
	}
	return unitData(q)
}

func (c *euler) initial(q process.Point) float64          { return c.explodingStart(q) }
func (c *eulerAncestral) initial(q process.Point) float64 { return c.explodingStart(q) }
func (c *heun) initial(q process.Point) float64           { return c.explodingStart(q) }
func (c *lms) initial(q process.Point) float64            { return c.explodingStart(q) }
func (c *edmEuler) initial(q process.Point) float64       { return unitData(q) }
func (c *edmDPM) initial(q process.Point) float64         { return unitData(q) }
func (c *consistency) initial(q process.Point) float64    { return q.Sigma }

// Denoises says whether the run goes from noise to data; some go the other way.
func (p Plan) Denoises() bool { return p.Rows[0].Call.LogSNR < p.End.LogSNR }

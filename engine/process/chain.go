package process

import "math"

// Chain is a process in steps, as ancestral samplers take them: DDPM's latent variables. Step n
// leads from its time to that of step n−1, and step 0 to the data.
type Chain struct {
	Process
	Steps int
}

// Chain is that of the schedule's own steps; see StepTime.
func (p Process) Chain() Chain {
	_, steps := StepTime(p.Schedule, 0)
	return Chain{p, steps}
}

// StepOf is the step that leads from a time, or from one a little later, to less noise.
func (c Chain) StepOf(t float64) int {
	return min(max(int(math.Ceil(t*float64(c.Steps)-1e-9))-1, 0), c.Steps-1)
}

// Time is that from which a step leads.
func (c Chain) Time(n int) float64 { return float64(n+1) / float64(c.Steps) }

// Transition is a step from a point t to s: of q(z_s|z_t, x), whose mean is a multiple of x and
// of z_t, and of Gaussians that take its place.
type Transition struct {
	Mean  float64 // what the mean has of x
	Least float64 // variance of q, β̃; at step 0, where it is 0, that of step 1, as in improved DDPM's code
	Range float64 // of logarithms of variances, from the least to the largest, β
}

// Step is the transition of a step from its point.
func (c Chain) Step(n int, t Point) Transition {
	s := c.End()
	least := math.NaN()
	if n > 0 {
		s = c.At(c.Time(n - 1))
		least = posteriorVariance(t, s)
	} else if c.Steps > 1 {
		least = posteriorVariance(c.At(c.Time(1)), t)
	}
	decay := s.Sigma * t.Alpha / (s.Alpha * t.Sigma)
	kept := (1 - decay) * (1 + decay)
	return Transition{s.Alpha * kept, least, math.Log(t.Sigma * t.Sigma * kept / least)}
}

// posteriorVariance is β̃ of a step from t to s: σ_s²(1−k²).
func posteriorVariance(t, s Point) float64 {
	decay := s.Sigma * t.Alpha / (s.Alpha * t.Sigma)
	return s.Sigma * s.Sigma * (1 - decay) * (1 + decay)
}

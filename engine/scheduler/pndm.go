package scheduler

import (
	"fluxion/engine/process"
)

// pndm is Liu et al., "Pseudo Numerical Methods for Diffusion Models on
// Manifolds" (2022): ε̂ of several calls is combined, and DDIM makes the step.
type pndm struct {
	betas
	prediction
	spacing
	SkipPRKSteps  bool `json:"skip_prk_steps"`
	SetAlphaToOne bool `json:"set_alpha_to_one"`
}

func newPNDM() Class {
	return &pndm{linearBetas(), epsilon, spacing{"leading", 0}, false, false}
}

func (c *pndm) plan(p *planner) error {
	if c.PredictionType == "sample" {
		return refuse("prediction_type", "sample", "epsilon or v_prediction")
	}
	if !c.SkipPRKSteps && p.Steps < 4 {
		return refuse("skip_prk_steps", false, "true, or at least 4 steps: the first three are Runge-Kutta's")
	}
	alphas, err := p.discrete(c.betas, false, c.PredictionType)
	if err != nil {
		return err
	}
	times, err := c.times(p, spread{train: len(alphas), last: len(alphas), steps: p.Steps, round: true})
	if err != nil {
		return err
	}
	for _, n := range times {
		p.preserving(n, alphas[int(n)])
	}
	p.end(c.SetAlphaToOne, alphas)
	p.Method, p.End = "pndm", p.points[len(p.points)-1]

	run := pndmRun{recorder: record(p), alphas: alphas, stride: len(alphas) / p.Steps}
	run.strided = strided(times, run.stride)
	run.arithmetic = !run.strided && !p.correct(previousStep)
	run.combined = c.PredictionType == "v_prediction" && p.Steps > 1 && !p.correct(combinedV)
	if c.SkipPRKSteps {
		return run.linear()
	}
	return run.rungeKutta()
}

type pndmRun struct {
	*recorder
	alphas     []float64
	stride     int
	strided    bool // the grid's intervals are N/steps long
	arithmetic bool // intervals are N/steps long, whatever the grid says
	combined   bool // v is combined, and the sum converted
}

func (r *pndmRun) ask(q process.Point) error {
	if r.combined {
		return r.call(q, q.A, q.B)
	}
	return r.call(q, 0, 1)
}

func (r *pndmRun) at(n float64) process.Point {
	return r.p.at(r.alphas, int(n), r.p.End)
}

// ddim is the step from a state at t to s with what was said, combined.
func (r *pndmRun) ddim(state vector, t, s process.Point, said vector) vector {
	weight := s.Sigma - s.Alpha*t.Sigma/t.Alpha
	next := vector(nil).plus(s.Alpha/t.Alpha, state)
	if r.combined {
		said = vector(nil).plus(t.Alpha, said).plus(t.Sigma, state)
	}
	return next.plus(weight, said)
}

// rungeKutta makes three steps of four calls each, then linear ones.
func (r *pndmRun) rungeKutta() error {
	half := float64(r.stride / 2)
	var firsts []int // calls at the grid's own times
	for g := range 3 {
		t, s := r.p.points[g], r.p.points[g+1]
		middle := r.at(s.NetworkTime + half)
		first := middle
		if t.NetworkTime-half != middle.NetworkTime && (r.strided || r.arithmetic) && !r.p.correct(halfStep) {
			first = r.at(t.NetworkTime - half)
		}
		end, anchor := s, r.state
		if r.arithmetic {
			end = r.at(middle.NetworkTime - half)
		}
		firsts = append(firsts, len(r.said))
		if err := r.ask(t); err != nil {
			return err
		}
		if err := r.move(r.ddim(anchor, t, first, r.last(0)), 0); err != nil {
			return err
		}
		for _, to := range []process.Point{middle, end} {
			if err := r.ask(middle); err != nil {
				return err
			}
			if err := r.move(r.ddim(anchor, t, to, r.last(0)), 0); err != nil {
				return err
			}
		}
		if err := r.ask(s); err != nil {
			return err
		}
		mean := vector(nil).plus(1./6, r.last(3)).plus(1./3, r.last(2)).plus(1./3, r.last(1)).plus(1./6, r.last(0))
		if err := r.move(r.ddim(anchor, t, s, mean), 0); err != nil {
			return err
		}
	}
	return r.multistep(3, firsts)
}

// linear makes Heun's step first, with the second call of it twice, and then
// linear ones.
func (r *pndmRun) linear() error {
	points := r.p.points
	t, s := points[0], points[1]
	first, anchor := s, r.state
	if r.arithmetic {
		first = r.at(t.NetworkTime - float64(r.stride))
	}
	if err := r.ask(t); err != nil {
		return err
	}
	if err := r.move(r.ddim(anchor, t, first, r.last(0)), 0); err != nil || len(points) == 2 {
		return err
	}
	from := t
	if r.arithmetic {
		from = r.at(s.NetworkTime + float64(r.stride))
	}
	if err := r.ask(s); err != nil {
		return err
	}
	mean := vector(nil).plus(0.5, r.last(0)).plus(0.5, r.last(1))
	if err := r.move(r.ddim(anchor, from, s, mean), 0); err != nil {
		return err
	}
	return r.multistep(1, []int{0})
}

// multistep makes the steps from the given point on, with Adams and Bashforth's
// weights for the calls so far.
func (r *pndmRun) multistep(from int, calls []int) error {
	weights := [][]float64{1: {1}, 2: {1.5, -0.5}, 3: {23. / 12, -16. / 12, 5. / 12}, 4: {55. / 24, -59. / 24, 37. / 24, -9. / 24}}
	points := r.p.points
	for i := from; i < len(points)-1; i++ {
		t, s := points[i], points[i+1]
		if r.arithmetic {
			s = r.at(t.NetworkTime - float64(r.stride))
		}
		if err := r.ask(t); err != nil {
			return err
		}
		calls = append(calls, len(r.said)-1)
		calls = calls[max(0, len(calls)-4):]
		var sum vector
		for k, w := range weights[len(calls)] {
			sum = sum.plus(w, unit(r.said[calls[len(calls)-1-k]]))
		}
		if err := r.move(r.ddim(r.state, t, s, sum), 0); err != nil {
			return err
		}
	}
	return nil
}

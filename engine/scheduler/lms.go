package scheduler

import "slices"

// lms is the linear multistep method of k-diffusion: ε̂ extrapolated as a
// polynomial of σ, of order 4.
type lms struct {
	betas
	prediction
	spacing
	sigmaKeys
	guestRange
}

func newLMS() Class {
	return &lms{betas: linearBetas(), prediction: epsilon, spacing: spacing{"linspace", 0}}
}

func (c *lms) plan(p *planner) error {
	alphas, err := p.discrete(c.betas, false, c.PredictionType)
	if err != nil {
		return err
	}
	l, err := ratioGrid(p, c.spacing, c.sigmaKeys, c.own(), ratios(alphas))
	if err != nil {
		return err
	}
	p.exploding(l)
	p.data()
	if p.Begin > 0 && p.Begin < len(l.sigmas) && !p.correct(callsBefore) {
		return c.late(p, l.sigmas)
	}
	return p.run(method{name: "lms"})
}

// late makes the rows of diffusers where a run begins later: each has the weights that it would
// have in the whole run, and those of calls that were not made are lost.
func (c *lms) late(p *planner, sigmas []float64) error {
	p.beginRead = true
	p.points = p.points[p.Begin:]
	p.Method, p.End = "lms", p.points[len(p.points)-1]
	sigmas = append(slices.Clone(sigmas), 0)
	r := record(p)
	for i := p.Begin; i < len(sigmas)-1; i++ {
		if err := r.call(p.points[i-p.Begin], 0, 1); err != nil {
			return err
		}
		nodes := sigmas[max(0, i-3) : i+1]
		next := r.state
		for k := range min(len(nodes), len(r.said)) {
			next = next.plus(lagrange(nodes, len(nodes)-1-k, sigmas[i], sigmas[i+1]), r.last(k))
		}
		if err := r.move(next, 0); err != nil {
			return err
		}
	}
	return nil
}

// lagrange is the integral from a to b of the polynomial of third degree at most that is 1 at a
// node and 0 at the others, by Simpson's rule, which is exact.
func lagrange(nodes []float64, node int, a, b float64) float64 {
	at := func(s float64) float64 {
		product := 1.0
		for k, n := range nodes {
			if k != node {
				product *= (s - n) / (nodes[node] - n)
			}
		}
		return product
	}
	return (b - a) / 6 * (at(a) + 4*at((a+b)/2) + at(b))
}

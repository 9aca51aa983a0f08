package objective

import (
	"fmt"
	"math"

	"fluxion/engine/process"
	"fluxion/kernels/mix"
)

// semigroup makes a flow map lead at once where it, or its average, leads in two jumps:
//
//	(t−r) u(z, t, r) = (t−s) u(z, t, s) + (s−r) u(z_s, s, r)
//
// K. Frans, D. Hafner, S. Levine, P. Abbeel, "One Step Diffusion via Shortcut Models" (2024):
// jumps of 1, 1/2, 1/4, … at multiples of themselves, made of two halves, the least of them
// velocities. Without levels t and r are any times, and s any between: N. Boffi, M. Albergo,
// E. Vanden-Eijnden, "How to build a consistency model" (2025). There is no derivative.
type semigroup struct {
	flowMap
	levels int // of jumps; 0: of any length
}

func newShortcut(s Setup, p process.Parameters) (Objective, error) {
	f, err := newFlowMap("shortcut", s, p)
	if err != nil {
		return nil, err
	}
	f.same = 1 - p["share"]
	levels := p["levels"]
	if levels != math.Trunc(levels) || levels < 0 || levels > 10 {
		return nil, fmt.Errorf("objective shortcut: levels is %g, want a whole number from 1 to 10, or 0 for jumps of any length", levels)
	}
	return &semigroup{f, int(levels)}, nil
}

func (s *semigroup) About() [][2]string {
	how := "shortcuts of any length by way of any time between"
	if s.levels > 0 {
		how = fmt.Sprintf("shortcuts of 1 to 1/%d by their halves", 1<<(s.levels-1))
	}
	return s.about(how)
}

// jumps are t ≥ s ≥ r of the image at a position, and how far the target is told to lead
// from t and from s.
func (s *semigroup) jumps(at int64) (t, m, r, first, second float64) {
	t, r = s.times(at)
	switch {
	case t == r:
		return t, t, t, 0, 0
	case s.levels == 0:
		m = r + (t-r)*s.draw(at, 5)
		return t, m, r, t - m, m - r
	}
	level := min(int(s.draw(at, 5)*float64(s.levels)), s.levels-1)
	d := math.Exp2(-float64(level))
	t = d * math.Ceil(s.draw(at, 6)/d)
	m, r = t-d/2, t-d
	if level == s.levels-1 {
		return t, m, r, 0, 0
	}
	return t, m, r, d / 2, d / 2
}

func (s *semigroup) Loss(b *Builder) Loss {
	wanted, half := b.Coefficients("coefficients of the target", 3), b.Coefficients("the first jump", 2)
	p := s.path(b)
	student := s.lead(b, "the map", Trained, p.z)
	role, _ := s.target()
	first := s.lead(b, "the first jump", role, p.z)
	second := s.lead(b, "the second jump", role, b.Mix(mix.Options{Detached: true}, half, p.z, first.u))
	target := b.Mix(mix.Options{Detached: true}, wanted, p.v, first.u, second.u)
	return Loss{Value: s.loss(b, student.u, target), Feed: func(i int, at int64) Observation {
		t, m, r, one, two := s.jumps(at)
		p.tell(i, t)
		student.tell(i, t, t-r)
		first.tell(i, t, one)
		second.tell(i, m, two)
		half.Set(i, 1, m-t)
		if t == r {
			wanted.Set(i, 1, 0, 0)
		} else {
			wanted.Set(i, 0, (t-m)/(t-r), (m-r)/(t-r))
		}
		return Observation{}
	}}
}

package objective

import (
	"fmt"

	"fluxion/engine/process"
	"fluxion/kernels/mix"

	"gorgonia.org/gorgonia"
)

// lagrangian makes a flow map lead along the velocity at where it leads:
//
//	u(z, t, r) = v(z_r, r) + (t−r) ∂u/∂r
//
// which is ∂z_r/∂r = v(z_r, r): N. Boffi, M. Albergo, E. Vanden-Eijnden, "How to build a
// consistency model" (2025), Lagrangian self-distillation. v is what the network says itself
// for r = t, or a teacher's; the derivative is a difference in r alone.
type lagrangian struct{ flowMap }

func newLagrangian(s Setup, p process.Parameters) (Objective, error) {
	f, err := newFlowMap("lagrangian", s, p)
	if err != nil {
		return nil, err
	}
	f.same = p["same"]
	return &lagrangian{f}, nil
}

func (l *lagrangian) About() [][2]string {
	return l.about(fmt.Sprintf("Lagrangian, derivatives by differences of %g", l.width))
}

func (l *lagrangian) Loss(b *Builder) Loss {
	wanted, there := b.Coefficients("coefficients of the target", 4), b.Coefficients("the end", 2)
	p := l.path(b)
	student := l.lead(b, "the map", Trained, p.z)
	role, _ := l.target()
	end := b.Mix(mix.Options{Detached: true}, there, p.z, student.u)
	var (
		own    lead
		taught *velocity
		v      *gorgonia.Node
	)
	if l.Teacher != nil {
		taught = l.velocity(b, "the teacher there", end)
		v = taught.y
	} else {
		own = l.lead(b, "the velocity there", role, end)
		v = own.u
	}
	longer, shorter := l.lead(b, "a longer jump", role, p.z), l.lead(b, "a shorter jump", role, p.z)
	target := b.Mix(mix.Options{Detached: true}, wanted, p.v, v, longer.u, shorter.u)
	return Loss{Value: l.loss(b, student.u, target), Feed: func(i int, at int64) Observation {
		t, r := l.times(at)
		p.tell(i, t)
		student.tell(i, t, t-r)
		there.Set(i, 1, r-t)
		if taught != nil {
			taught.tell(i, r)
		} else {
			own.tell(i, r, 0)
		}
		more, less := min(l.width, r), min(l.width, t-r)
		longer.tell(i, t, t-r+more)
		shorter.tell(i, t, t-r-less)
		if t == r {
			wanted.Set(i, 1, 0, 0, 0)
		} else {
			c := (t - r) / (more + less)
			wanted.Set(i, 0, 1, -c, c)
		}
		return Observation{}
	}}
}

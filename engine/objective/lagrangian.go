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
//
// The derivative learns, too, as in the paper; with through=0 it is a part of the target.
type lagrangian struct {
	flowMap
	through bool
}

func newLagrangian(s Setup, p process.Parameters) (Objective, error) {
	f, err := newFlowMap("lagrangian", s, p)
	if err != nil {
		return nil, err
	}
	f.same = p["same"]
	through := p["through"]
	if through != 0 && through != 1 {
		return nil, fmt.Errorf("objective lagrangian: through is %g, want 1 (derivatives learn, too) or 0", through)
	}
	return &lagrangian{f, through == 1}, nil
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
	if l.through {
		role = Trained
	}
	longer, shorter := l.lead(b, "a longer jump", role, p.z), l.lead(b, "a shorter jump", role, p.z)
	says, change := student.u, Numbers{}
	if l.through {
		change = b.Coefficients("coefficients of the change", 3)
		says = b.Mix(mix.Options{}, change, student.u, longer.u, shorter.u)
	}
	target := b.Mix(mix.Options{Detached: true}, wanted, p.v, v, longer.u, shorter.u)
	return Loss{Value: l.loss(b, says, target), Feed: func(i int, at int64) Observation {
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
		var straight, led, c float64 = 1, 0, 0
		if t > r {
			straight, led, c = 0, 1, (t-r)/(more+less)
		}
		if l.through {
			change.Set(i, 1, c, -c)
			c = 0
		}
		wanted.Set(i, straight, led, -c, c)
		return Observation{}
	}}
}

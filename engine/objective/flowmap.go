package objective

import (
	"fmt"

	"fluxion/engine/process"
	"fluxion/kernels/mix"

	"gorgonia.org/gorgonia"
)

// eulerian makes a flow map of what it says of itself beside a point:
//
//	u(z, t, r) = v − (t−r) du/dt, du/dt along (v, 1) at fixed r
//
// which is, by its switches, MeanFlow (Z. Geng et al., "Mean Flows for One-step Generative
// Modeling", 2025), improved MeanFlow (the tangent is the network's own velocity), and with
// a teacher sCM and Align Your Flow (A. Sabour, S. Fidler, K. Kreis, 2025). The derivative is
// a difference of two passes without gradient. At the ends, and where r is near, it is taken
// from one side.
type eulerian struct {
	flowMap
	predicted bool    // the derivative is along the network's own velocity
	warmup    float64 // share of the run over which the derivative comes in
}

func newEulerian(s Setup, p process.Parameters) (Objective, error) {
	f, err := newFlowMap("flowmap", s, p)
	if err != nil {
		return nil, err
	}
	f.same = p["same"]
	e := &eulerian{f, p["predicted"] == 1, p["warmup"]}
	switch {
	case p["predicted"] != 0 && p["predicted"] != 1:
		return nil, fmt.Errorf("objective flowmap: predicted is %g, want 1 (derivatives along the network's own velocity) or 0", p["predicted"])
	case !(e.warmup >= 0 && e.warmup <= 1):
		return nil, fmt.Errorf("objective flowmap: warmup is %g, want a share of the run from 0 to 1", e.warmup)
	}
	return e, nil
}

func (e *eulerian) About() [][2]string {
	along := "the velocity"
	if e.predicted {
		along = "its own velocity"
	}
	return e.about(fmt.Sprintf("Eulerian, derivatives along %s by differences of %g", along, e.width))
}

// share is what the derivative weighs at a position of the stream.
func (e *eulerian) share(at int64) float64 {
	if whole := e.warmup * float64(e.Images); whole > 0 {
		return min(1, float64(at)/whole)
	}
	return 1
}

func (e *eulerian) Loss(b *Builder) Loss {
	wanted := b.Coefficients("coefficients of the target", 3)
	p := e.path(b)
	student := e.lead(b, "the map", Trained, p.z)
	role, _ := e.target()
	along := p.v
	var own lead
	if e.predicted {
		own = e.lead(b, "the velocity", role, p.z)
		along = own.u
	}
	ahead, behind := e.beside(b, "ahead", role, p.z, along), e.beside(b, "behind", role, p.z, along)
	target := b.Mix(mix.Options{Detached: true}, wanted, p.v, ahead.u, behind.u)
	return Loss{Value: e.loss(b, student.u, target), Feed: func(i int, at int64) Observation {
		t, r := e.times(at)
		p.tell(i, t)
		student.tell(i, t, t-r)
		if e.predicted {
			own.tell(i, t, 0)
		}
		up, down := min(e.width, 1-t), min(e.width, t-r)
		ahead.tell(i, t, r, up)
		behind.tell(i, t, r, -down)
		c := 0.0
		if up+down > 0 {
			c = e.share(at) * (t - r) / (up + down)
		}
		wanted.Set(i, 1, -c, c)
		return Observation{}
	}}
}

// beside is a flow map asked beside a state, along a tangent.
type beside struct {
	lead
	moved Numbers
}

func (f flowMap) beside(b *Builder, name string, r Role, z, tangent *gorgonia.Node) beside {
	s := beside{moved: b.Coefficients("step "+name, 2)}
	s.lead = f.lead(b, name, r, b.Mix(mix.Options{Detached: true}, s.moved, z, tangent))
	return s
}

// tell moves image i by a time.
func (s beside) tell(i int, t, r, by float64) {
	s.moved.Set(i, 1, by)
	s.lead.tell(i, t+by, t+by-r)
}

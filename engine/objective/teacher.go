package objective

import (
	"fmt"

	"fluxion/engine/process"
	"fluxion/kernels/mix"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// Teacher is a model that an objective learns from.
type Teacher struct {
	Frozen   *Frozen
	Process  process.Process // along which it was trained
	Guidance float64         // away from what it says without a class; 1: none
	NoClass  int             // the class that stands for none
	Digest   string          // the same of models that say the same
}

// taught says that an objective wants a teacher and got none.
func (s Setup) taught(name string) error {
	if s.Teacher != nil {
		return nil
	}
	return fmt.Errorf("objective %s learns from another model; want --teacher MODEL", name)
}

// answer is what a network says of a state on the path of the trained one's process,
// with the numbers that it must be told.
type answer struct {
	state, output       *gorgonia.Node
	time, input, guided Numbers
	guidance            float64
}

// ask asks a network of a state z, (N,H,W,C), in the units of the trained one's schedule.
// A guided one is asked twice.
func (b *Builder) ask(name string, r Role, z *gorgonia.Node, t *Teacher) answer {
	a := answer{state: z, time: b.Number("time of " + name), input: b.Coefficients("input of "+name, 1), guidance: 1}
	in := nets.Inputs{Sample: b.Mix(mix.Options{}, a.input, z), Time: a.time.Node}
	conditional := b.Network.Spec().Conditional()
	if t != nil {
		conditional = t.Frozen.Network.Spec().Conditional()
	}
	if conditional {
		in.Class = b.Class()
	}
	a.output = b.Apply(r, in)
	if t != nil && t.Guidance != 1 && conditional {
		if b.none == nil {
			n := b.Number("no class")
			for i := range b.Batch {
				n.Set(i, float64(t.NoClass))
			}
			b.none = n.Node
		}
		a.guidance = t.Guidance
		a.guided = b.Coefficients("guidance of "+name, 2)
		in.Class = b.none
		a.output = b.Mix(mix.Options{}, a.guided, a.output, b.Apply(r, in))
	}
	return a
}

// tell sets what the network is told of image i, which stands at a point of its process.
func (a answer) tell(i int, q process.Point, guidance float64) {
	a.time.Set(i, q.NetworkTime)
	a.input.Set(i, q.Input)
	if a.guided.Node != nil {
		a.guided.Set(i, guidance, 1-guidance)
	}
}

// step is a step along the flow from a state and what a network says of it: DDIM's.
type step struct {
	to Numbers
	z  *gorgonia.Node
}

func (b *Builder) step(name string, a answer) step {
	s := step{to: b.Coefficients("step of "+name, 2)}
	s.z = b.Mix(mix.Options{Detached: true}, s.to, a.state, a.output)
	return s
}

// tell sets the step of image i: from a point of the network's process to α and σ.
func (s step) tell(i int, from process.Point, alpha, sigma float64) {
	l, err := from.To(alpha, sigma)
	if err != nil { // which starts of processes exclude
		l = process.Linear{}
	}
	s.to.Set(i, l.Z, l.Y)
}

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
	Process  process.Process  // along which it was trained
	Guidance float64          // away from what it says without a class, or from Guide; 1: none
	Interval process.Interval // within which it is guided
	Guide    *Frozen          // a weaker model of the same process (autoguidance); nil: none
	Baked    float64          // guidance that it took over from its own teacher; 0: none
	None     []float32        // what it is told of an image of no class, or without its numbers
	From, To []float32        // of numbers that it is told, what is 0 and what is 1; nil: it is told none
	Digest   string           // the same of models that say the same
	Latents  bool             // it makes latents of an autoencoder
}

// String is the folder of the teacher, and how it is guided.
func (t *Teacher) String() string {
	text := t.Frozen.Dir
	if t.Guidance != 1 {
		text += fmt.Sprintf(", guided by %g", t.Guidance)
	}
	if t.Guide != nil {
		text += ", away from " + t.Guide.Dir
	}
	if t.Interval != (process.Interval{}) {
		text += fmt.Sprintf(", within σ/α %g to %g", t.Interval[0], t.Interval[1])
	}
	return text
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
	state, output *gorgonia.Node
	time, input   Numbers
	guided        Numbers // of two passes; without a node: there is one
	told          Numbers // the guidance that a network is told; without a node: it is told none, or that of the trained one
}

// ask asks a network of a state z, (N,H,W,C), in the units of the trained one's schedule.
// A guided one is asked twice, or it and its guide are, or it is told how far to guide itself.
func (b *Builder) ask(name string, r Role, z *gorgonia.Node, t *Teacher) answer {
	a := answer{state: z, time: b.Number("time of " + name), input: b.Coefficients("input of "+name, 1)}
	in := nets.Inputs{Sample: b.Mix(mix.Options{}, a.input, z), Time: a.time.Node}
	spec := b.network(r).Spec()
	if spec.Conditional() {
		in.Class = b.Class()
	}
	if t != nil && spec.Told() {
		a.told = b.Number("guidance of " + name)
		in.Guidance = a.told.Node
	}
	a.output = b.Apply(r, in)
	if t == nil || spec.Told() || t.Guidance == 1 && !b.Network.Spec().Told() {
		return a
	}
	switch {
	case t.Guide != nil:
		r = Role{Frozen: t.Guide}
	case spec.Conditional():
		if b.none == nil {
			n := b.Number("no class")
			if spec.Embedding > 0 {
				n = b.Coefficients("no class", spec.Embedding)
			}
			for i := range b.Batch {
				copy(n.values.Values[i*len(t.None):], t.None)
			}
			b.none = n.Node
		}
		in.Class = b.none
	default:
		return a
	}
	a.guided = b.Coefficients("guidance of "+name, 2)
	a.output = b.Mix(mix.Options{}, a.guided, a.output, b.Apply(r, in))
	return a
}

// guidance is that of a teacher for image i at a point: what the trained network is told,
// or the teacher's own.
func (b *Builder) guidance(t *Teacher, i int, q process.Point) float64 {
	switch {
	case !t.Interval.Holds(q):
		return 1
	case b.Network.Spec().Told():
		return b.told(i)
	}
	return t.Guidance
}

// tell sets what the network is told of image i, which stands at a point of its process.
func (a answer) tell(i int, q process.Point, guidance float64) {
	a.time.Set(i, q.NetworkTime)
	a.input.Set(i, q.Input)
	if a.guided.Node != nil {
		a.guided.Set(i, guidance, 1-guidance)
	}
	if a.told.Node != nil {
		a.told.Set(i, guidance)
	}
}

// says is what a teacher, which may have learnt along any schedule, says of a state as
// another output, ax + bε.
type says struct {
	answer
	b       *Builder
	teacher *Teacher
	of      process.Process
	y       *gorgonia.Node
	both    Numbers
}

func (s Setup) says(b *Builder, name string, z *gorgonia.Node) says {
	t := s.Teacher
	y := says{answer: b.ask(name, Role{Frozen: t.Frozen}, z, t), b: b, teacher: t, of: t.Process.Under(s.Process.Schedule)}
	y.both = b.Coefficients("what is told of "+name, 2)
	y.y = b.Mix(mix.Options{Detached: true}, y.both, z, y.output)
	return y
}

// tell sets the place of image i. Where the teacher does not say what is wanted, as one of
// ε does not say x in pure noise, it is asked where it begins.
func (s says) tell(i int, logSNR, a, b float64) {
	q := s.of.AtLogSNR(logSNR)
	if start := s.of.At(s.of.Start()); q.LogSNR < start.LogSNR {
		q = start
	}
	l, err := q.To(a, b)
	if err != nil {
		l = process.Linear{}
	}
	s.answer.tell(i, q, s.b.guidance(s.teacher, i, q))
	s.both.Set(i, l.Z, l.Y)
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

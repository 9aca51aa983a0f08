package train

import (
	"slices"

	"fluxion/engine/device"
	"fluxion/engine/objective"
	"fluxion/engine/plan"
)

// Outcome is what a step came to.
type Outcome struct {
	Loss     float64 // mean over the step
	GradNorm float64 // before clipping
	// MicroSquares is the mean of the squares of the norms of the micro-batches' gradients, 0
	// unless StepOptions.NoiseScale.
	MicroSquares float64
	Changed      bool // the memory may hold other weights than before the step
}

// Train makes a step: it lets fill bring each of the micro-batches that this process
// takes (Fill), adds their gradients and those of the other processes, and lets the
// optimizer take its step. Where fill fails, here or in another process, nothing has
// changed.
func (t *Trainer) Train(h Hyper, fill func(micro int) error) (o Outcome, err error) {
	t.Hyper(h)
	o.Changed, err = t.runShare(fill)
	if t.joins() && err == nil {
		err = t.join(nil)
	}
	if err != nil {
		return o, err
	}
	t.sum(&o)
	o.Changed = true
	o.GradNorm, err = t.finish()
	return o, t.group().Fail(err)
}

// sum makes the means of what the micro-batches of a step came to.
func (t *Trainer) sum(o *Outcome) {
	for i, loss := range t.part.Losses {
		o.Loss += loss / float64(t.Accumulate)
		if t.microNorm != nil {
			o.MicroSquares += t.part.Squares[i] / float64(t.Accumulate)
		}
	}
}

// Begin launches a step, and returns what waits for its outcome, before which the next may begin if the
// objective learns nothing of it (Ahead). MayBegin says of which trainers. Where fill fails nothing has changed.
func (t *Trainer) Begin(h Hyper, fill func(micro int) error) (end func() (Outcome, error), err error) {
	t.Hyper(h)
	notes := make([]func() error, t.Accumulate)
	for i := range notes {
		if err := fill(i); err != nil {
			return nil, err
		}
		err := t.runAlone(i)
		if err == nil {
			notes[i], err = t.note()
		}
		if err != nil {
			return nil, &launchError{err}
		}
	}
	of, last := t.at, 0
	if t.Accumulate > 1 {
		of, last = t, len(t.programs)-1
		err = device.Run(t.programs[last])
	}
	var norm func() ([]float32, error)
	if err == nil {
		norm = device.Later(of.programs[last], of.last().Place(of.norm))
		err = t.forceUnit() // behind a norm that is not finite, too: then the step does not count
	}
	if err != nil {
		return nil, &launchError{err}
	}
	return func() (Outcome, error) {
		o := Outcome{Changed: true}
		t.part.reset()
		for _, note := range notes {
			if err := note(); err != nil {
				return o, err
			}
		}
		t.sum(&o)
		n, err := norm()
		if err == nil {
			o.GradNorm = float64(n[0]) * t.gradScale()
		}
		return o, err
	}, nil
}

// launchError is that of a step that may have changed weights.
type launchError struct{ error }

func (e *launchError) Unwrap() error { return e.error }

// MayBegin says whether steps can Begin: on a GPU that makes them alone.
func (t *Trainer) MayBegin() bool {
	return !t.joins() && device.Later(t.programs[0], t.Micro.Place(t.loss.Value)) != nil
}

// Ahead says whether a step can Begin before the end of the one before it. Objectives that learn of the errors of
// images must see them before: adaptive times draw the next times by them, and the uncertainty of errors weighs the next
// errors by what it has learnt of all before. Their micro-batches of a step are still launched one behind the other.
func (t *Trainer) Ahead() bool { return t.loss.Errors == nil && t.MayBegin() }

// share is what this process takes of a step.
func (s *Step) share() share { return shareOf(s.group(), s.Accumulate) }

// runShare runs the micro-batches that this process takes. The first and the last one begin when
// those of all others can, too: weights come from them meanwhile, or gradients go to them.
func (t *Trainer) runShare(fill func(micro int) error) (changed bool, err error) {
	t.part.reset()
	share, brings := t.share(), t.awaits
	var notes []func() error
	for i := share.first; i < share.end; i++ {
		err := fill(i)
		first, last := brings && i == share.first, i == share.end-1
		if t.joins() && (first || last || err != nil) {
			_, err = t.tell(part{}, err)
		}
		if err == nil && first && last && !t.together() {
			if err = t.arriveFirst(); err != nil {
				return true, err
			}
			_, err = t.tell(part{}, nil)
		}
		if err != nil {
			return changed, err
		}
		var wait func() error
		if err = t.runMicro(i); err == nil {
			wait, err = t.note()
		}
		if wait != nil {
			notes = append(notes, wait)
		}
		switch {
		case err != nil && t.joins() && (first || last):
			return true, t.group().Fail(err) // of which the others do not know
		case err != nil && t.joins():
			_, err = t.tell(part{}, err)
			return true, err
		case err != nil:
			return true, err
		}
		changed = t.Accumulate == 1 // or only the end of the step changes weights
	}
	for _, note := range notes {
		if err := note(); err != nil {
			if t.joins() {
				_, err = t.tell(part{}, err)
			}
			return true, err
		}
	}
	return changed, nil
}

// note returns what waits for what the last micro-batch comes to, and adds it to the part of this process; nil where it
// is there, and was added.
func (t *Trainer) note() (wait func() error, err error) {
	at, plus := t.at, 0.0
	if at.loss.Plus != nil {
		plus = at.loss.Plus()
	}
	program, value, errs, norm := at.programs[0], at.Micro.Place(at.loss.Value), plan.Tensor{}, plan.Tensor{}
	if at.loss.Errors != nil {
		errs = at.Micro.Place(at.loss.Errors)
	}
	if t.microNorm != nil {
		norm = at.Micro.Place(at.microNorm)
	}
	loss := device.Later(program, value)
	if loss == nil {
		return nil, at.noteNow(&t.part, value, errs, norm, plus)
	}
	var all, square func() ([]float32, error)
	var filled []objective.Observation
	if errs.Buffer != nil {
		all, filled = device.Later(program, errs), slices.Clone(at.filled)
	}
	if norm.Buffer != nil {
		square = device.Later(program, norm)
	}
	return func() error {
		l, err := loss()
		if err != nil {
			return err
		}
		t.part.Losses = append(t.part.Losses, float64(l[0])+plus)
		if all != nil {
			if l, err = all(); err != nil {
				return err
			}
			t.part.see(filled, l)
		}
		if square != nil {
			if l, err = square(); err != nil {
				return err
			}
			t.part.Squares = append(t.part.Squares, float64(l[0])*float64(l[0]))
		}
		return nil
	}, nil
}

// noteNow adds what the micro-batch has come to.
func (t *Trainer) noteNow(p *part, loss, errs, norm plan.Tensor, plus float64) error {
	l, err := t.read(0, loss)
	if err != nil {
		return err
	}
	p.Losses = append(p.Losses, l+plus)
	if errs.Buffer != nil {
		if err := t.programs[0].Read(errs, t.perImage); err != nil {
			return err
		}
		p.see(t.filled, t.perImage)
	}
	if norm.Buffer != nil {
		if l, err = t.read(0, norm); err != nil {
			return err
		}
		p.Squares = append(p.Squares, l*l)
	}
	return nil
}

// see adds images with their errors.
func (p *part) see(filled []objective.Observation, errs []float32) {
	for i, o := range filled {
		p.Seen = append(p.Seen, seen{o, float64(errs[i])})
	}
}

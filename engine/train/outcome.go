package train

import "fluxion/engine/device"

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
	for i, loss := range t.part.Losses {
		o.Loss += loss / float64(t.Accumulate)
		if t.microNorm != nil {
			o.MicroSquares += t.part.Squares[i] / float64(t.Accumulate)
		}
	}
	o.Changed = true
	o.GradNorm, err = t.finish()
	return o, t.group().Fail(err)
}

// Begin launches a step, and returns what waits for its outcome, when the next may have begun. MayBegin
// says of which trainers. Where fill fails nothing has changed.
func (t *Trainer) Begin(h Hyper, fill func(micro int) error) (end func() (Outcome, error), err error) {
	t.Hyper(h)
	t.part.reset()
	if err := fill(0); err != nil {
		return nil, err
	}
	at := t.at
	if err := device.Run(at.programs[0]); err != nil {
		return nil, &launchError{err}
	}
	plus := 0.0
	if at.loss.Plus != nil {
		plus = at.loss.Plus()
	}
	loss, norm := device.Later(at.programs[0], at.Micro.Place(at.loss.Value)), device.Later(at.programs[0], at.Micro.Place(at.norm))
	return func() (Outcome, error) {
		o := Outcome{Changed: true}
		l, err := loss()
		if err != nil {
			return o, err
		}
		n, err := norm()
		o.Loss, o.GradNorm = float64(l)+plus, float64(n)
		return o, err
	}, nil
}

// launchError is that of a step that may have changed weights.
type launchError struct{ error }

func (e *launchError) Unwrap() error { return e.error }

// MayBegin says whether steps can Begin: on a GPU, where nothing but the loss and the norm of one
// micro-batch is read of a step.
func (t *Trainer) MayBegin() bool {
	return t.Accumulate == 1 && t.loss.Errors == nil && t.unit == nil && device.Later(t.programs[0], t.Micro.Place(t.loss.Value)) != nil
}

// share is what this process takes of a step.
func (s *Step) share() share { return shareOf(s.group(), s.Accumulate) }

// runShare runs the micro-batches that this process takes. The first and the last one begin when
// those of all others can, too: weights come from them meanwhile, or gradients go to them.
func (t *Trainer) runShare(fill func(micro int) error) (changed bool, err error) {
	t.part.reset()
	share, brings := t.share(), t.awaits
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
		err = t.runOne(i)
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
	return changed, nil
}

// runOne runs a micro-batch and notes what it comes to.
func (t *Trainer) runOne(i int) error {
	loss, err := t.runMicro(i)
	if err != nil {
		return err
	}
	t.part.Losses = append(t.part.Losses, loss)
	if t.microNorm == nil {
		return nil
	}
	norm, err := t.at.read(0, t.at.Micro.Place(t.at.microNorm))
	t.part.Squares = append(t.part.Squares, norm*norm)
	return err
}

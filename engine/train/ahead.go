package train

import (
	"context"
	"errors"
)

// A GPU that waits for the host between steps does nothing meanwhile. So the next step is launched before the
// outcome of one is read, where nothing behind this one looks at the weights, and the objective does not have to learn
// of it first. Else the images of the next are brought meanwhile.

// ahead is a step that was launched before what comes behind the one before it.
type ahead struct {
	end    func() (Outcome, error) // nil: none was
	failed error                   // of launching it
}

// outcome makes a step, or waits for the one that was launched before.
func (r *run) outcome(ctx context.Context) (o Outcome, err error) {
	begin := func(after State) (func() (Outcome, error), error) {
		return r.trainer.Begin(r.hyper(after), func(int) error { return r.fill(ctx) })
	}
	if !r.trainer.MayBegin() {
		return r.trainer.Train(r.hyper(r.state), func(int) error { return r.fill(ctx) })
	}
	end, err := r.next.end, r.next.failed
	r.next = ahead{}
	if end == nil && err == nil {
		end, err = begin(r.state)
	}
	if err != nil {
		launched := (*launchError)(nil)
		return Outcome{Changed: errors.As(err, &launched)}, err
	}
	switch next := r.following(); {
	case ctx.Err() != nil || next.Images >= r.settings.Images || r.stageAt(next.Images).number != r.stage:
	case r.trainer.Ahead() && r.mayGoAhead(next):
		r.next.end, r.next.failed = begin(next)
	default:
		r.fetch(ctx)
	}
	return end()
}

// following is the state after the next step, without what that comes to.
func (r *run) following() State {
	return State{Images: r.state.Images + int64(r.settings.Batch), Steps: r.state.Steps + 1, Recovered: r.state.Recovered}
}

// mayGoAhead says whether a step may be launched before what is due after the one before it.
func (r *run) mayGoAhead(s State) bool {
	if len(r.saveNow) > 0 {
		return false
	}
	p := r.progress(s, Outcome{})
	p.Asked = false
	for _, h := range r.all {
		if h.due(p) && !h.beside {
			return false
		}
	}
	return true
}

// goesAhead says whether the device is a step ahead of the state.
func (r *run) goesAhead() bool { return r.next.end != nil }

// settle waits for a step that was launched ahead, which counts as any other where the steps before do.
func (r *run) settle() {
	end := r.next.end
	r.next = ahead{}
	if end == nil {
		return
	}
	o, err := end()
	if r.sound = r.sound && err == nil && diverges(Progress{Step: o}) == nil; !r.sound {
		return
	}
	r.state, r.last = r.counted(o), o
	for _, h := range r.all {
		if h.beside && h.Keep != nil { // of which checkpoints hold what all steps came to
			r.sound = r.sound && h.After(context.Background(), r.progress(r.state, o)) == nil
		}
	}
}

// counted is the state after a step that came to this.
func (r *run) counted(o Outcome) State {
	s := r.following()
	s.Loss = r.settings.runningMean(r.state.Loss, s.Steps, o.Loss)
	s.Seconds = r.meter.seconds()
	return s
}

package train

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// calmer is what the learning rate is multiplied by when a run has diverged.
const calmer = 0.5

// recover brings a run whose numbers are not finite back to the last good checkpoint, with
// a smaller learning rate from there on; where it diverges again before another one is
// saved, to the one before, for weights may be ruined while they are finite; and where there
// is none, to its beginning. It returns the error where it is another one, and where it has
// done so Recover times. The checkpoint alone decides how the run goes on, and the number of
// times before: a run that is killed in between comes back to the same place in the same way.
func (r *run) recover(ctx context.Context, err error) error {
	var diverged *NotFiniteError
	if !errors.As(err, &diverged) || r.state.Recovered >= r.settings.Recover {
		return err
	}
	if failed := r.saver.wait(); failed != nil && !errors.As(failed, &diverged) {
		return err
	}
	before := int64(math.MaxInt64)
	if r.back == r.saver.images {
		before = r.back // nothing was saved since it went back there
	}
	times := r.state.Recovered + 1
	r.from = r.newestSound(before)
	state, where, failed := r.rewind(ctx)
	if failed != nil {
		return errors.Join(err, fmt.Errorf("going back to %s: %w", where, failed))
	}
	state.Recovered = times
	r.state, r.last, r.sound, r.back = state, Outcome{}, true, state.Images
	r.saver.images, r.saver.failed, r.saver.final = state.Images, nil, false
	r.meter = newMeter(state)
	r.warn("after %d images: loss %g, gradient norm %g; back to %s with %g of the learning rate (--recover: %d of %d)",
		diverged.Images, diverged.Loss, diverged.Norm, where, r.calmed(), times, r.settings.Recover)
	return nil
}

// rewind brings the run to where it is to go on from, and forgets what came later.
func (r *run) rewind(ctx context.Context) (state State, where string, err error) {
	where = "the beginning"
	if r.from != nil {
		where = r.from.Path
		state, _, err = r.restore()
	} else {
		err = r.beginAnew()
	}
	if err == nil {
		err = r.folder.Rewind(state.Images)
	}
	if err == nil {
		r.stream.Close()
		r.stream, err = r.openStream(ctx, state.Images)
	}
	if err != nil {
		return state, where, err
	}
	if r.owed != nil && r.owed.Images > state.Images {
		r.owed = nil
	}
	return state, where, r.record.Rewind(state.Images)
}

// keepBeginning keeps what hooks hold before the first step, for a run that may begin anew.
func (r *run) keepBeginning() error {
	if r.settings.Recover == 0 {
		return nil
	}
	for _, h := range r.all {
		if h.Keep == nil {
			continue
		}
		data, err := h.Keep.Store()
		if err != nil {
			return err
		}
		r.first = append(r.first, func() error {
			take, err := h.Keep.Load(data)
			if err != nil {
				return err
			}
			return take()
		})
	}
	return nil
}

// beginAnew brings hooks, weights and the optimizer to where they were before the first step.
func (r *run) beginAnew() (err error) {
	for _, f := range r.first {
		err = errors.Join(err, f())
	}
	if err == nil {
		err = r.initialise() // behind hooks: labels have the ranges of what the run begins with
	}
	if err == nil {
		err = r.forgetMoments()
	}
	return err
}

// calmed is the share of the learning rate that is left.
func (r *run) calmed() float64 { return math.Pow(calmer, float64(r.state.Recovered)) }

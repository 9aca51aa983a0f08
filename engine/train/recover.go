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
// a smaller learning rate from there on. It returns the error where it is another one,
// where there is no checkpoint, and where it has done so Recover times. The checkpoint
// alone decides how the run goes on, and the number of times before: a run that is killed
// in between comes back to the same place in the same way.
func (r *run) recover(ctx context.Context, err error) error {
	var diverged *NotFiniteError
	if !errors.As(err, &diverged) || r.state.Recovered >= r.settings.Recover {
		return err
	}
	if failed := r.saver.wait(); failed != nil {
		return err
	}
	good := r.newestSound(math.MaxInt64)
	if good == nil {
		return err
	}
	times := r.state.Recovered + 1
	r.from = good
	state, _, failed := r.restore()
	if failed == nil {
		failed = r.folder.Rewind(state.Images)
	}
	if failed == nil {
		r.stream.Close()
		r.stream, failed = r.openStream(ctx, state.Images)
	}
	if failed != nil {
		return errors.Join(err, fmt.Errorf("going back to %s: %w", good.Path, failed))
	}
	if r.owed != nil && r.owed.Images > state.Images {
		r.owed = nil
	}
	if failed := r.record.Rewind(state.Images); failed != nil {
		return errors.Join(err, failed)
	}
	state.Recovered = times
	r.state, r.last, r.sound, r.saver.images = state, Outcome{}, true, state.Images
	r.meter = newMeter(state)
	r.warn("after %d images: loss %g, gradient norm %g; back to %s with %g of the learning rate (--recover: %d of %d)",
		diverged.Images, diverged.Loss, diverged.Norm, good.Path, r.calmed(), times, r.settings.Recover)
	return nil
}

// calmed is the share of the learning rate that is left.
func (r *run) calmed() float64 { return math.Pow(calmer, float64(r.state.Recovered)) }

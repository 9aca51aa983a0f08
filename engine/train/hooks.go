package train

import (
	"context"
	"fmt"
	"os"
	"time"
)

// hook does what is due after a step that began when this many images had been
// seen. An error ends the run.
type hook func(ctx context.Context, before int64) error

// hooks are called in this order. A checkpoint is written beside the making of a
// grid.
func (r *run) hooks() []hook {
	return []hook{r.listen, r.watch, r.showStatus, r.saveCheckpoint, stop, r.makeGrid}
}

// listen takes notice of what comes from outside: a request to save, or that
// nobody can read the output any more, which is no reason to lose a run.
func (r *run) listen(context.Context, int64) error {
	select {
	case <-r.saveNow:
		r.asked = true
	default:
		r.asked = false
	}
	if err := r.observer.Err(); err != nil && !r.unread {
		r.unread = true
		r.folder.Note("the output cannot be written any more, the run goes on: %v", err)
	}
	return nil
}

// watch tells once that the run learns nothing.
func (r *run) watch(context.Context, int64) error {
	if stuck, is := r.stuck(r.state); is && !r.told {
		r.told = true
		r.folder.Note("%v", stuck)
		r.observer.Stuck(stuck)
	}
	return nil
}

func (r *run) showStatus(context.Context, int64) error {
	if !r.meter.due() && !r.finished() {
		return nil
	}
	s := r.meter.status(r.last, r.state, r.settings.Images)
	skipped := r.stream.Skipped()
	r.nameSkipped(skipped)
	s.Skipped, s.Baseline = len(skipped), r.baseline
	r.observer.Status(s)
	return r.writeStatus(s)
}

// nameSkipped writes down which pictures were left out, and tells of the first:
// whoever wants them in has to know which they are.
func (r *run) nameSkipped(names []string) {
	for i, name := range names[r.named:] {
		if r.named+i == 0 {
			r.warn("%s cannot be read and is left out; log.txt names all that are", name)
			continue
		}
		r.folder.Note("%s cannot be read and is left out", name)
	}
	r.named = len(names)
}

func (r *run) saveCheckpoint(_ context.Context, before int64) error {
	if err := r.saver.poll(); err != nil {
		return err
	}
	if !r.asked && !r.due(before, r.settings.CheckpointEvery) {
		return nil
	}
	return r.saver.save(r.state)
}

// stop ends the run when ctx ended.
func stop(ctx context.Context, _ int64) error { return context.Cause(ctx) }

func (r *run) makeGrid(ctx context.Context, before int64) error {
	if !r.asked && !r.due(before, r.settings.SampleEvery) {
		return nil
	}
	err := r.samples(ctx, r.state.Images)
	r.meter.restart(r.state.Images) // the time of the grid is not the step's
	return err
}

// makeMissingGrid makes the grid that was due at the checkpoint from which the run
// goes on, where a kill or a signal came before it.
func (r *run) makeMissingGrid(ctx context.Context) error {
	if r.from == nil || !r.due(r.state.Images-int64(r.settings.Batch), r.settings.SampleEvery) {
		return nil
	}
	if info, err := os.Stat(r.gridPath(r.state.Images)); err == nil && info.Size() > 0 {
		return nil
	}
	return r.samples(ctx, r.state.Images)
}

// due says whether a multiple of every, or the end, was passed since this many
// images.
func (r *run) due(before, every int64) bool {
	return r.finished() || every > 0 && r.state.Images/every > before/every
}

// statusPeriod is the time between two status events.
const statusPeriod = time.Second

// meter times the run for its statuses.
type meter struct {
	begin   time.Time // of this process
	earlier float64   // seconds of the run before
	last    time.Time // of the last status
	shown   int64     // images then
	silent  bool      // there was none yet
}

func newMeter(s State) *meter {
	now := time.Now()
	return &meter{begin: now, earlier: s.Seconds, last: now, shown: s.Images, silent: true}
}

// seconds that the run has taken, over all its processes.
func (m *meter) seconds() float64 { return m.earlier + time.Since(m.begin).Seconds() }

// due says whether it is time for a status; the first step has one.
func (m *meter) due() bool { return m.silent || time.Since(m.last) >= statusPeriod }

func (m *meter) restart(images int64) { m.last, m.shown = time.Now(), images }

// status completes what is known of a step by counts and times.
func (m *meter) status(s Status, state State, of int64) Status {
	rate := float64(state.Images-m.shown) / time.Since(m.last).Seconds()
	m.restart(state.Images)
	m.silent = false
	s.Time, s.Images, s.Of, s.Steps, s.ImagesPerSecond = m.last, state.Images, of, state.Steps, rate
	s.Elapsed = duration(m.seconds())
	s.Left = duration(float64(of-state.Images) / rate)
	return s
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// UnsavedError is a run whose last steps could not be saved.
type UnsavedError struct {
	Images, Saved int64 // seen, and at the newest checkpoint
	Err           error // why they could not be
	Cause         error // what ended the run before; nil: it was at its end
}

func (e *UnsavedError) Error() string {
	text := fmt.Sprintf("images %d to %d of the run are not saved: %v", e.Saved, e.Images, e.Err)
	if e.Cause != nil {
		text = fmt.Sprintf("%v; %s", e.Cause, text)
	}
	return text
}

func (e *UnsavedError) Unwrap() []error { return []error{e.Cause, e.Err} }

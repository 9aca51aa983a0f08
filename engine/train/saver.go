package train

import (
	"errors"
	"fmt"
	"os"

	"fluxion/engine/model"
	"fluxion/engine/record"
	"fluxion/engine/rundir"
)

// saver writes checkpoints beside the loop, one at a time: the device waits for
// the copy of its state, not for the disk.
type saver struct {
	copy func(State) (write func() (path string, err error), err error) // takes the state off the device
	tidy func() error                                                   // removes older ones
	told func(path string, images int64) error                          // that one is on the disk
	warn func(format string, args ...any)

	pending chan written // nil: none is being written
	last    string       // path of the newest checkpoint
	images  int64        // seen at it, or where the run began
	failed  error        // why the one that should be the newest was not written
	final   bool         // no other attempt would do better
	ending  bool         // this is the last attempt; who ends the run says why it failed
}

// written is a checkpoint, or why there is none.
type written struct {
	path   string
	images int64
	err    error
	untidy error // why older ones could not be removed
}

// save copies the state and begins to write it, if it is not there already; an earlier
// checkpoint is finished first.
func (s *saver) save(state State) error {
	if err := s.wait(); err != nil || s.images == state.Images {
		return err
	}
	write, err := s.copy(state)
	if err != nil {
		return err
	}
	pending := make(chan written, 1)
	s.pending = pending
	go func() {
		w := written{images: state.Images}
		defer func() {
			if r := recover(); r != nil { // or the process would end here, whatever the loop would do
				w.err = fmt.Errorf("writing the checkpoint of %d images: %v", state.Images, r)
			}
			pending <- w
		}()
		if w.path, w.err = write(); w.err == nil {
			w.untidy = s.tidy()
		}
	}()
	return nil
}

// poll reports a checkpoint that has been finished.
func (s *saver) poll() error {
	select {
	case w := <-s.pending:
		return s.report(w)
	default:
		return nil
	}
}

// wait reports the checkpoint that is being written once it is finished.
func (s *saver) wait() error {
	if s.pending == nil {
		return nil
	}
	return s.report(<-s.pending)
}

// report tells of a checkpoint that was written. One that could not be, as on a
// disk that is full for a while, ends nothing: the next may be. A folder that is
// gone and weights that are not finite do not get well.
func (s *saver) report(w written) error {
	s.pending = nil
	var gone *rundir.GoneError
	var diverged *NotFiniteError
	if s.failed = w.err; errors.As(w.err, &gone) || errors.As(w.err, &diverged) {
		s.final = true
		return w.err
	}
	if w.err != nil && s.ending {
		return nil
	}
	if w.err != nil {
		s.warn("no checkpoint after %d images, the run goes on and tries again: %v", w.images, w.err)
		return nil
	}
	s.last, s.images = w.path, w.images
	if err := s.told(w.path, w.images); err != nil {
		return err
	}
	if w.untidy != nil {
		s.warn("older checkpoints are not removed: %v", w.untidy)
	}
	return nil
}

// reach brings a state to the disk, if it is not there, and says whether it is.
func (s *saver) reach(state State) (bool, error) {
	err := s.wait()
	if err == nil && s.images < state.Images {
		if err = s.save(state); err == nil {
			err = s.wait()
		}
	}
	return s.images >= state.Images, err
}

// keepBest is Progress.KeepBest.
func (r *run) keepBest(b model.Best) (kept bool, err error) {
	if b.Images == r.state.Images {
		kept, err = r.saver.reach(r.state)
	} else {
		info, failed := os.Stat(b.Path(r.dir))
		kept = failed == nil && info.IsDir()
	}
	if err != nil || !kept {
		return false, err
	}
	if old, err := model.ReadBest(r.dir); err == nil && old != nil && *old == b {
		return true, nil
	}
	if err := r.folder.SetBest(b); err != nil {
		if gone := (*rundir.GoneError)(nil); errors.As(err, &gone) {
			return false, err
		}
		r.warn("%s is the best checkpoint so far, which cannot be written down, the run goes on: %v", b.Path(r.dir), err)
		return false, nil
	}
	r.folder.Note("%s is the best checkpoint so far: %s %.6g", b.Path(r.dir), b.Metric, b.Value)
	if r.folder.Aside() { // until there is a new checkpoint
		return true, nil
	}
	if err := r.saver.tidy(); err != nil {
		r.warn("older checkpoints are not removed: %v", err)
	}
	return true, nil
}

// finish saves the last state of a run if it is not saved yet. It returns why that
// could not be done.
func (s *saver) finish(state State) error {
	err := s.wait()
	s.ending = true
	if err == nil && !s.final && state.Images > s.images {
		if err = s.save(state); err == nil {
			err = s.wait()
		}
	}
	if err == nil {
		err = s.failed
	}
	return err
}

// newSaver is that of a run.
func (r *run) newSaver() *saver {
	return &saver{
		copy: func(s State) (func() (string, error), error) {
			c, err := r.snapshot(s)
			return func() (string, error) { return r.checkpoint(c) }, err
		},
		tidy: func() error { return r.folder.Tidy(r.settings.Keep) },
		told: func(path string, images int64) error {
			r.folder.Note("checkpoint %s", path)
			return r.record.Checkpoint(record.File{Path: path, Images: images})
		},
		warn: r.warn,
	}
}

// UnsavedError is a run whose last steps could not be saved.
type UnsavedError struct {
	Images, Saved int64 // seen, and at the newest checkpoint
	Err           error // why they could not be
	Cause         error // what ended the run before; nil: it was at its end
}

func (e *UnsavedError) Error() string {
	text := fmt.Sprintf("images %d to %d of the run are not saved: %v", e.Saved, e.Images, e.Err)
	if e.Cause != nil && e.Cause.Error() != e.Err.Error() { // or the same failed twice
		text = fmt.Sprintf("%v; %s", e.Cause, text)
	}
	return text
}

func (e *UnsavedError) Unwrap() []error { return []error{e.Cause, e.Err} }

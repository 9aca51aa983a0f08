package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fluxion/engine/generate"
	"fluxion/engine/latent"
	"fluxion/engine/model"
	"fluxion/engine/objective"
	"fluxion/engine/plan"
	"fluxion/engine/record"
	"fluxion/engine/rundir"
)

// Hook is something that a run does beside its steps. Functions that it has no use
// for are nil; an error of any of them ends the run.
type Hook struct {
	Name string // none other has it

	// After is due after the step that passes a multiple of Every images, after the last
	// step, and after one at which a user asks (Options.SaveNow). 1 is every step, 0
	// only the last and what is asked for.
	Every  int64
	After  func(context.Context, Progress) error
	Pauses bool // the time that After takes is not that of steps; of several processes, the first has the others' parts of the first average
	beside bool // it looks at nothing of the device: the next step may have been launched
	looks  bool // it may look at weights whenever it is called: those of all processes are here
	Late   bool // it comes after checkpoints and grids: a kill while it works loses none

	Decodes bool // it makes pictures of samples: of latents, by the Decoder of Progress

	// Compile makes the hook's own plans over the buffers of a step, and returns what they
	// need: the run's memory has room for it. Of several calls the last counts.
	Compile func(*Step) (plan.Sizes, error)
	Bytes   int64                // of the device's memory that the hook takes beside that of the run
	About   func() [][2]string   // what a user is told of it before the first step: a name and a text in a row
	Begin   func(Progress) error // before the first step, after those of the hooks before
	// Check looks at a step before it counts. After an error it has not happened; weights
	// have changed already, so that no more is saved.
	Check func(Progress) error
	Close func() error // when the run ends, if it was begun

	// Done says whether what was due after so many images has been done. A run that goes
	// on from there calls After where a kill or a signal came before it. nil: never.
	Done func(images int64) bool
	Keep *Keep
}

// Keep is what a hook needs to go on to the bit. Without it there is no checkpoint: an
// error of Store, or more than MaxKept bytes, ends the run, and the steps since the
// last checkpoint are lost.
type Keep = objective.State

// MaxKept is the most that a hook may keep, in bytes: it is read whole.
const MaxKept = 1 << 30

// Progress is a run as its hooks see it.
type Progress struct {
	State            // after a whole step
	Step     Outcome // of that step alone
	LR       float64 // of it
	Before   int64   // images seen before it
	Last     bool    // no other follows
	Asked    bool    // a user wants to have a checkpoint and a grid
	Dir      string  // the run folder
	Settings Settings
	Trainer  *Trainer // whose memory holds weights and averages
	// Decoder is that of samples of a size that are latents; nil: they are none, or nobody Decodes.
	Decoder func(generate.Size) *latent.Decoder
	// Picture makes the picture of such a sample, valid until the next, and says its size.
	Picture func(latent []float32, of generate.Size) (pixels []byte, size generate.Size, err error)
	// Tell tells the user and the log of what does not end the run.
	Tell func(format string, args ...any)
	// Record hands what metrics say to all that is told of the run's statuses.
	Record func(record.Evaluation) error
	// KeepBest keeps a checkpoint until it is called for a better one. That of the step is
	// saved, if it is not yet. Kept is false where there is no such checkpoint: it could not
	// be saved, which the user has been told, or was removed.
	KeepBest func(model.Best) (kept bool, err error)
}

// progress is that after a step.
func (r *run) progress(s State, step Outcome) Progress {
	return Progress{
		State: s, Step: step, LR: r.learningRate(s.Images - int64(r.settings.Batch)), Before: s.Images - int64(r.settings.Batch),
		Last: s.Images >= r.settings.Images, Asked: r.asked, Dir: r.dir, Settings: r.settings, Trainer: r.trainer, Decoder: r.decoding.of(), Picture: r.decoding.picture, Tell: r.warn, Record: r.record.Evaluation, KeepBest: r.keepBest,
	}
}

// due says whether it is time for what the hook does after a step.
func (h Hook) due(p Progress) bool {
	return h.After != nil && (p.Last || p.Asked || h.Every > 0 && p.Images/h.Every > p.Before/h.Every)
}

// named adds the name of a hook to its errors.
func (h Hook) named() Hook {
	wrap := func(err error) error {
		if err != nil {
			err = fmt.Errorf("%s: %w", h.Name, err)
		}
		return err
	}
	n := h
	n.looks = !h.beside
	if h.After != nil {
		n.After = func(ctx context.Context, p Progress) error {
			err := h.After(ctx, p)
			if stopped := context.Cause(ctx); stopped != nil && errors.Is(err, stopped) {
				return err // which is of nobody's doing
			}
			return wrap(err)
		}
	}
	if h.Compile != nil {
		n.Compile = func(s *Step) (plan.Sizes, error) {
			sizes, err := h.Compile(s)
			return sizes, wrap(err)
		}
	}
	if h.Begin != nil {
		n.Begin = func(p Progress) error { return wrap(h.Begin(p)) }
	}
	if h.Check != nil {
		n.Check = func(p Progress) error { return wrap(h.Check(p)) }
	}
	if h.Close != nil {
		n.Close = func() error { return wrap(h.Close()) }
	}
	if h.Keep != nil {
		keep := *h.Keep
		keep.Store = func() ([]byte, error) {
			data, err := h.Keep.Store()
			return data, wrap(err)
		}
		n.Keep = &keep
	}
	return n
}

// hooks are those of the run and of its caller, whose errors are given their names.
func (r *run) hooks(callers []Hook) ([]Hook, error) {
	named := make([]Hook, len(callers))
	for i, h := range callers {
		named[i] = h.named()
	}
	all := r.own(named)
	names, files := map[string]bool{}, map[string]bool{}
	for _, name := range trainingFiles {
		files[name] = true
	}
	for _, h := range all {
		if h.Name == "" || names[h.Name] {
			return nil, fmt.Errorf("hook %q: want a name that no other hook has", h.Name)
		}
		names[h.Name] = true
		if h.Keep == nil {
			continue
		}
		file := strings.ToLower(h.Keep.File) // there are disks to which case is nothing
		if files[file] || file != filepath.Base(file) || !filepath.IsLocal(file) || file == "." {
			return nil, fmt.Errorf("hook %q keeps %q in checkpoints: want the bare name of a file that nothing else is kept in", h.Name, h.Keep.File)
		}
		files[file] = true
	}
	return all, nil
}

// aboutHooks is what a user is told of the hooks before the first step.
func (r *run) aboutHooks() (rows [][2]string) {
	for _, h := range r.all {
		if h.About != nil {
			rows = append(rows, h.About()...)
		}
	}
	return rows
}

// besideBytes is the memory of the device that hooks take beside that of the run.
func (r *run) besideBytes() (bytes int64) {
	for _, h := range r.all {
		bytes = plan.Add(bytes, h.Bytes)
	}
	return bytes
}

// beginHooks begins all of them, in turn.
func (r *run) beginHooks() error {
	for i, h := range r.all {
		if h.Begin != nil {
			if err := h.Begin(r.progress(r.state, r.last)); err != nil {
				return err
			}
		}
		r.begun = r.all[:i+1]
	}
	return nil
}

// closeHooks closes those that were begun, the last one first.
func (r *run) closeHooks() (err error) {
	for _, h := range slices.Backward(r.begun) {
		if h.Close != nil {
			err = errors.Join(err, h.Close())
		}
	}
	return err
}

// check asks the hooks about a step that does not count yet.
func (r *run) check(p Progress) error {
	for _, h := range r.all {
		if h.Check == nil {
			continue
		}
		if h.looks {
			if err := r.pause(); err != nil {
				return err
			}
		}
		if err := h.Check(p); err != nil {
			return err
		}
	}
	return nil
}

// after does what is due after the last step, in the order of the hooks.
func (r *run) after(ctx context.Context) error {
	for _, h := range r.all {
		p := r.progress(r.state, r.last) // which the hook before may have changed: r.asked
		if !h.due(p) {
			continue
		}
		if h.Every != 1 || h.Pauses || h.looks {
			if err := r.pause(); err != nil {
				return err
			}
		}
		begin := time.Now()
		if h.Pauses && r.group.World > 1 {
			if err := r.bring(r.trainer.Buffers.EMA); err != nil {
				return err
			}
		}
		err := h.After(ctx, p)
		if h.Pauses {
			r.meter.pause(h.Name, r.state.Images, time.Since(begin))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pauses is the time that hooks will take beside the steps behind one, if each takes as
// long as it did last.
func (r *run) pauses(p Progress) (all time.Duration) {
	for _, h := range r.all {
		if !h.Pauses || h.After == nil {
			continue
		}
		of := r.settings.Images
		times := int64(1) // behind the last step
		if h.Every > 0 {
			times = (of+h.Every-1)/h.Every - p.Before/h.Every
		}
		all += time.Duration(times) * r.meter.pauses[h.Name]
	}
	return all
}

// makeUp does what was due at the checkpoint from which the run goes on and has not
// been done.
func (r *run) makeUp(ctx context.Context) error {
	if r.from == nil {
		return r.firstSamples(ctx)
	}
	p := r.progress(r.state, r.last)
	if made, err := ReadSettings(filepath.Join(r.from.Path, filepath.FromSlash(rundir.SettingsFile))); err == nil {
		p.Before = p.Images - int64(made.Batch) // which may be another now; older checkpoints do not tell
	}
	for _, h := range r.all {
		if h.Done == nil || !h.due(p) || h.Done(p.Images) {
			continue
		}
		if err := h.After(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

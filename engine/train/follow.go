package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"fluxion/engine/collective"
	"fluxion/engine/device"
)

// meet compares what the processes have prepared: all go on, or none does.
func (r *run) meet(o Options, err error) error {
	err = o.Group.Agree(err)
	if err == nil && o.Group.World > 1 {
		err = cmp.Or(alikeIn(o.Group, r.facts(o.Device)), apartIn(o.Group, device.Identity(o.Device)))
		if err == nil && r.trainer.onDevices() {
			r.trainer.peers, err = device.NewPeers(o.Device, o.Group)
		}
	}
	if err == nil || r == nil {
		return err
	}
	if r.folder != nil {
		r.folder.Note("ended: %v", err)
	}
	return errors.Join(err, r.close())
}

// order is what the first process tells the others between steps.
type order struct {
	Kind   orderKind
	State  State             // of begins: from which they go on
	Kept   map[string][]byte // by hooks, by the names of their files
	Buffer int               // of gives: its number
	Text   string            // of ends: why
	Stops  bool              // of ends: it was told to
}

type orderKind int

const (
	begins orderKind = iota // weights and what belongs to them follow
	goesOn                  // the next step
	waits                   // weights come to all, for the first process does something that takes a while
	gives                   // they bring it their parts of a buffer
	ends
)

// order tells the others.
func (r *run) order(o order) error {
	if r.group.World == 1 {
		return nil
	}
	r.group.SetLimit(r.pace.limit(r.warn))
	_, err := collective.BroadcastValue(r.group, o)
	return err
}

// pause tells the others that this process does something else than steps, for which it has the
// weights of all.
func (r *run) pause() error {
	if r.paused || r.group.World == 1 {
		return nil
	}
	err := r.group.Lost()
	if err == nil {
		err = r.order(order{Kind: waits})
	}
	if err == nil {
		err = r.trainer.Arrive()
	}
	r.paused = err == nil
	return err
}

// share brings the state of the first process to the others.
func (r *run) share() error {
	if r.group.World == 1 {
		return nil
	}
	r.trainer.leftOut, r.skippedTold = nil, 0 // who reads anew has left nothing out yet
	o := order{Kind: begins, State: r.state, Kept: map[string][]byte{}}
	for _, h := range r.all {
		if h.Keep == nil {
			continue
		}
		text, err := h.Keep.Store()
		if err != nil {
			return err
		}
		o.Kept[h.Keep.File] = text
	}
	if err := r.order(o); err != nil {
		return err
	}
	if err := r.exchangeState(); err != nil {
		return r.group.Fail(err)
	}
	r.paused = false
	return r.group.Agree(nil)
}

// dismiss tells the others that the run has ended.
func (r *run) dismiss(ctx context.Context, err error) {
	if r.group.Lost() != nil {
		return
	}
	o := order{Kind: ends}
	if err != nil {
		var stopped *StoppedError
		cause := context.Cause(ctx)
		o.Text, o.Stops = err.Error(), errors.As(err, &stopped) || cause != nil && errors.Is(err, cause)
	}
	_ = r.order(o) // who is gone has ended, too
}

// stopError is the cause of a context that has ended.
type stopError struct{ error }

func (e stopError) Unwrap() error { return e.error }

func stopped(err error) bool {
	var stop stopError
	return errors.As(err, &stop)
}

// unheard is the observer of processes that have nobody to tell.
type unheard struct{ Observer }

func (unheard) Note(string) {}
func (unheard) Err() error  { return nil }

// followSteps is a run of another process than the first: it makes its part of each step, and
// goes on as it is told. It has no folder, and tells nobody.
func followSteps(ctx context.Context, o Options) (err error) {
	o.Hooks, o.Sinks, o.Observer = nil, nil, unheard{}
	o.Settings.SampleCount, o.Settings.EMASnapshotEvery = 0, 0
	r, p, err := planRun(o)
	if err == nil {
		err = r.load(o.Device, p.sizes, p.step, nil)
	}
	if err := r.meet(o, err); err != nil {
		return err
	}
	defer func() { err = errors.Join(r.faulted(err), r.close()) }()
	r.paused = true // the first process may have to make up for what was due
	var failed error
	for {
		next, err := r.nextOrder()
		if err != nil {
			return err
		}
		switch next.Kind {
		case ends:
			return ended(next, failed)
		case begins:
			if failed, err = nil, r.takeOver(ctx, next); err != nil {
				return err
			}
		}
		if failed != nil || r.finished() {
			continue
		}
		if failed = r.step(ctx); failed == nil {
			failed = r.after(ctx)
		}
		var diverged *NotFiniteError
		if failed != nil && !r.sound && !errors.As(failed, &diverged) || r.group.Lost() != nil {
			return r.group.Fail(failed) // behind what all have agreed on: the others cannot be told
		}
	}
}

// ended is why a process ends that was told to: what it failed with itself is said there.
func ended(o order, failed error) error {
	switch {
	case failed != nil:
		return failed
	case o.Stops:
		return &StoppedError{0, o.Text}
	case o.Text != "":
		return &collective.PeerError{Rank: 0, Text: o.Text}
	}
	return nil
}

// takeOver goes on from the state of the first process.
func (r *run) takeOver(ctx context.Context, o order) error {
	if err := r.exchangeState(); err != nil {
		return r.group.Fail(err)
	}
	return r.group.Agree(r.goOnFrom(ctx, o))
}

func (r *run) goOnFrom(ctx context.Context, o order) error {
	for _, h := range r.all {
		if h.Keep == nil {
			continue
		}
		text, ok := o.Kept[h.Keep.File]
		if !ok {
			return fmt.Errorf("the first process has not sent %s", h.Keep.File)
		}
		take, err := h.Keep.Load(text)
		if err == nil {
			err = take()
		}
		if err != nil {
			return err
		}
	}
	if r.stream != nil {
		r.stream.Close()
	}
	r.state, r.last, r.sound = o.State, Outcome{}, true
	r.meter, r.skippedTold = newMeter(o.State), 0
	var err error
	r.stream, err = r.openStream(ctx, o.State.Images)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// pace is how long the last steps took.
type pace struct {
	last [15]time.Duration
	n    int
}

func (p *pace) add(d time.Duration) {
	p.last[p.n%len(p.last)] = d
	p.n++
}

// How much longer than the median another process may take until it is told of, and until it
// is taken for lost; and what both are at least, and before there was a step.
const (
	slow, hung           = 10, 100
	leastSlow, leastHung = 10 * time.Second, 100 * time.Second
	firstSlow, firstHung = time.Minute, 10 * time.Minute
)

// limit is how long other processes may take.
func (p *pace) limit(warn func(string, ...any)) collective.Limit {
	l := collective.Limit{Tell: func(text string) { warn("%s", text) }, Name: firstSlow, End: firstHung}
	if n := min(p.n, len(p.last)); n > 0 {
		last := slices.Clone(p.last[:n])
		slices.Sort(last)
		l.Name, l.End = max(leastSlow, slow*last[n/2]), max(leastHung, hung*last[n/2])
	}
	return l
}

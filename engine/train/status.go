package train

import (
	"context"
	"time"

	"fluxion/engine/record"
)

// sinks are what is told of each status, in this order.
func (r *run) sinks(callers []record.Sink) record.Sinks {
	return append(record.Sinks{
		record.Log(r.skipped, r.warn, r.folder.Note),
		told{observer: r.observer},
		record.JSONL(r.folder.Status),
	}, callers...)
}

// told is a sink that tells the observer.
type told struct {
	record.Nothing
	observer Observer
}

func (t told) Status(s record.Status) error {
	t.observer.Status(s)
	return nil
}

func (t told) Evaluation(e record.Evaluation) error {
	t.observer.Evaluation(e)
	return nil
}

func (t told) Grid(f record.File) error {
	t.observer.Samples(f.Path, f.Images)
	return nil
}

func (t told) Checkpoint(f record.File) error {
	t.observer.Checkpoint(f.Path, f.Images)
	return nil
}

// statusHook tells how far the run is: after the first step, after the last, and about
// every second between.
func (r *run) statusHook() Hook {
	return Hook{
		Name:  "status",
		Every: 1, beside: true,
		Begin: func(p Progress) error { return r.record.Begin(p.Images) },
		After: func(_ context.Context, p Progress) error {
			if !r.meter.due() && !p.Last {
				return nil
			}
			s := r.meter.status(p, r.settings.Images)
			s.Skipped, s.Baseline, s.NoiseScale = r.skipped(), r.baseline, r.noise.images()
			s.Left += r.pauses(p) // as this one comes before them
			return r.record.Status(s)
		},
		Close: func() error { return r.record.Close() },
	}
}

// skipped are the images that were left out so far.
func (r *run) skipped() []string {
	if r.stream == nil {
		return nil
	}
	if r.group.World > 1 {
		return r.trainer.leftOut
	}
	return r.stream.Skipped()
}

// statusPeriod is the time between two statuses.
const statusPeriod = time.Second

// meter times the run for its statuses.
type meter struct {
	begin   time.Time                // of this process
	earlier float64                  // seconds of the run before
	last    time.Time                // of the last status
	shown   int64                    // images then
	silent  bool                     // there was none yet
	pauses  map[string]time.Duration // that hooks made when they were last called
}

func newMeter(s State) *meter {
	now := time.Now()
	return &meter{begin: now, earlier: s.Seconds, last: now, shown: s.Images, silent: true, pauses: map[string]time.Duration{}}
}

// seconds that the run has taken, over all its processes.
func (m *meter) seconds() float64 { return m.earlier + time.Since(m.begin).Seconds() }

// due says whether it is time for a status; the first step has one.
func (m *meter) due() bool { return m.silent || time.Since(m.last) >= statusPeriod }

// pause is what a hook took beside steps.
func (m *meter) pause(hook string, images int64, took time.Duration) {
	m.pauses[hook] = took
	m.restart(images)
}

func (m *meter) restart(images int64) { m.last, m.shown = time.Now(), images }

// status is that of a run so far, without what only the run knows.
func (m *meter) status(p Progress, of int64) record.Status {
	rate := record.PerSecond(float64(p.Images-m.shown), time.Since(m.last))
	m.restart(p.Images)
	m.silent = false
	return record.Status{
		Images: p.Images, Of: of, Steps: p.Steps, Loss: p.Loss, LR: p.LR, GradNorm: p.Step.GradNorm, ImagesPerSecond: rate,
		Time: m.last, Elapsed: duration(m.seconds()), Left: duration(float64(of-p.Images) / rate),
	}
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

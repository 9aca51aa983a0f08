// Package train is the training loop and what it stands on: the step as a plan,
// settings, checkpoints, and the run folder.
package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/sampler"
	"fluxion/engine/scheduler"
	"fluxion/kernels/adamw"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// Options of Run.
type Options struct {
	Settings Settings
	Dir      string // run folder; made if need be
	Fresh    bool   // throw away what the folder holds
	Data     data.Dataset
	Device   device.Device
	Observer Observer
}

// NotFiniteError stops a run whose loss or gradients are no longer numbers.
type NotFiniteError struct {
	Images int64
	Loss   float64
	Norm   float64
	Where  string // the first tensor that is not finite
	Last   string // the last good checkpoint, "" if there is none
}

func (e *NotFiniteError) Error() string {
	kept := "there is no checkpoint yet"
	if e.Last != "" {
		kept = "the last good checkpoint is " + e.Last
	}
	return fmt.Sprintf("after %d images: loss %g, gradient norm %g; first bad tensor: %s; %s; a lower lr or a longer warmup may help",
		e.Images, e.Loss, e.Norm, e.Where, kept)
}

// statusPeriod is the time between two status events.
const statusPeriod = time.Second

// lossMemory is how many images the running mean of the loss looks back, about.
const lossMemory = 1000

// run is a run in progress.
type run struct {
	dir       string
	settings  Settings
	config    nets.Config
	data      data.Dataset
	observer  Observer
	objective Objective
	baseline  float64          // the loss of a network without knowledge
	scheduler scheduler.Config // the same, as a checkpoint says it
	grid      sampler.Table    // of the run's own grids
	precision number.Type
	memory    device.Memory
	trainer   *Trainer
	sampler   *generate.Generator // nil: no grids
	folder    *folder
}

// Run trains until the settings' number of images has been seen, from the
// newest checkpoint in the folder if there is one. When ctx ends, it finishes
// the step, saves a checkpoint and returns the context's cause.
func Run(ctx context.Context, o Options) (_ Result, err error) {
	r, start, err := prepare(o)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()

	state, found, err := r.restore()
	if err != nil {
		return Result{}, fmt.Errorf("resuming %s: %w", o.Dir, err)
	}
	if !found {
		if err := r.trainer.Initialise(r.settings.Seed); err != nil {
			return Result{}, err
		}
	}
	result := func() Result {
		return Result{Run: r.dir, Images: state.Images, Steps: state.Steps, Loss: state.Loss}
	}
	if found && state.Images >= r.settings.Images {
		res := result()
		res.AlreadyRun = true
		return res, nil
	}
	if err := r.folder.begin(r.settings, state.Images); err != nil {
		return result(), err
	}
	start.Images = state.Images
	if found {
		start.From, _ = model.Newest(r.dir)
	}
	r.folder.note("recipe of %s: %v", start.Recipe.Of, start.Recipe)
	r.folder.note("loss of a network without knowledge: %g, for pixels of variance %g", start.Baseline, start.Variance)
	o.Observer.Start(start)

	stream, err := r.stream(ctx, state.Images)
	if err != nil {
		return result(), err
	}
	defer stream.Close()
	meter := newMeter(state.Images)
	saver := &saver{run: r}
	told := false // that it is stuck
	defer func() { err = errors.Join(err, saver.wait()) }()
	for state.Images < r.settings.Images {
		before := state
		r.trainer.Hyper(r.hyper(state))
		loss, whole, err := r.forwardBackward(ctx, stream, &state)
		if err != nil {
			return result(), err
		}
		if whole {
			norm, err := r.trainer.Finish()
			if err != nil {
				return result(), err
			}
			if !finiteNumber(loss) || !finiteNumber(norm) {
				return result(), errors.Join(saver.wait(), r.notFinite(state.Images, loss, norm))
			}
			r.trainer.Observe(r.objective)
			state.Steps++
			state.Loss = r.settings.runningMean(state, loss)
			if stuck, is := r.stuck(state); is && !told {
				told = true
				r.folder.note("%v", stuck)
				r.observer.Stuck(stuck)
			}
			if meter.due() || state.Images >= r.settings.Images {
				s := meter.status(state, r.settings, norm, r.settings.learningRate(before.Images))
				s.Skipped, s.Baseline = len(stream.Skipped()), r.baseline
				r.observer.Status(s)
				if err := r.folder.status(s); err != nil {
					return result(), err
				}
			}
		}
		if err := saver.poll(); err != nil {
			return result(), err
		}
		stopping := ctx.Err() != nil
		if state.Images > 0 && (stopping || due(before.Images, state.Images, r.settings.CheckpointEvery, r.settings.Images)) {
			if err := saver.save(state); err != nil {
				return result(), err
			}
		}
		if stopping {
			if err := saver.wait(); err != nil {
				return result(), err
			}
			r.folder.note("stopped after %d images: %v", state.Images, context.Cause(ctx))
			return result(), context.Cause(ctx)
		}
		if due(before.Images, state.Images, r.settings.SampleEvery, r.settings.Images) {
			if err := r.samples(ctx, state.Images); err != nil && ctx.Err() == nil {
				return result(), err
			}
			meter.restart(state.Images) // the time of the grid is not the step's
		}
	}
	if err := saver.wait(); err != nil {
		return result(), err
	}
	r.folder.note("done: %d images, loss %g", state.Images, state.Loss)
	res := result()
	res.Seconds, res.Checkpoint = time.Since(meter.begin).Seconds(), saver.last
	return res, nil
}

// forwardBackward runs the micro-batches of a step and counts their images. The
// step is not whole, and has not happened, if ctx ended between two of them.
func (r *run) forwardBackward(ctx context.Context, stream stream, state *State) (loss float64, whole bool, err error) {
	n := r.trainer.Accumulate
	for i := range n {
		batch, err := stream.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return 0, false, nil
			}
			return 0, false, err
		}
		r.trainer.Fill(Images{batch.Pixels, batch.Labels, batch.Indices, batch.Sources, batch.Flips}, r.objective)
		stream.Release(batch)
		part, err := r.trainer.RunMicro(i)
		if err != nil {
			return 0, false, err
		}
		loss += part / float64(n)
	}
	state.Images += int64(r.settings.Batch)
	return loss, true, nil
}

// meter times the run for its statuses.
type meter struct {
	begin, last time.Time
	shown       int64 // images at the last status
}

func newMeter(images int64) *meter { return &meter{time.Now(), time.Now(), images} }

// due says whether it is time for a status; the first step has one.
func (m *meter) due() bool { return m.last.Equal(m.begin) || time.Since(m.last) >= statusPeriod }

func (m *meter) restart(images int64) { m.last, m.shown = time.Now(), images }

func (m *meter) status(state State, s Settings, norm, lr float64) Status {
	rate := float64(state.Images-m.shown) / time.Since(m.last).Seconds()
	m.restart(state.Images)
	return Status{
		Images: state.Images, Of: s.Images, Steps: state.Steps, Loss: state.Loss, LR: lr, GradNorm: norm,
		ImagesPerSecond: rate, Elapsed: time.Since(m.begin),
		Left: time.Duration(float64(s.Images-state.Images) / rate * float64(time.Second)),
	}
}

// due says whether a multiple of every, or the end, lies in (before, now].
func due(before, now, every, end int64) bool {
	return now >= end || every > 0 && now/every > before/every
}

func finiteNumber(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// hyper is the optimizer's part of the step after this state.
func (r *run) hyper(s State) adamw.Step {
	c := r.settings
	seen := float64(s.Images + int64(c.Batch))
	h := adamw.Step{
		LearningRate: c.learningRate(s.Images), Beta1: c.Beta1, Beta2: c.Beta2, Epsilon: c.Epsilon,
		WeightDecay: c.WeightDecay, Count: s.Steps + 1, ClipNorm: c.Clip,
	}
	// EDM's ramp: in the beginning the average looks back over a share of what was seen.
	if half := min(float64(c.EMA), c.EMAWarmup*seen); half > 0 {
		h.AverageRate = math.Exp2(-float64(c.Batch) / half)
	}
	return h
}

// runningMean of the loss after a step that began before state.Steps was counted.
func (s Settings) runningMean(state State, loss float64) float64 {
	keep := max(0, 1-float64(s.Batch)/lossMemory)
	keep = min(keep, 1-1/float64(state.Steps))
	return float64(keep*state.Loss) + float64((1-keep)*loss)
}

func (r *run) notFinite(images int64, loss, norm float64) error {
	where, err := r.trainer.FirstBad()
	if err != nil {
		return err
	}
	e := &NotFiniteError{Images: images, Loss: loss, Norm: norm, Where: where}
	if all, err := model.Checkpoints(r.dir); err == nil && len(all) > 0 {
		e.Last = all[len(all)-1].Path
	}
	return e
}

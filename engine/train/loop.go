// Package train is the training loop and what it stands on: the step as a plan,
// settings, checkpoints, and the run folder.
package train

import (
	"context"
	"fmt"
	"math"
	"time"

	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/kernels/adamw"
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
	trainer   *Trainer
	sampler   *generate.Generator // nil: no grids
	folder    *folder
}

// Run trains until the settings' number of images has been seen, from the
// newest checkpoint in the folder if there is one. When ctx ends, it finishes
// the step, saves a checkpoint and returns the context's cause.
func Run(ctx context.Context, o Options) (Result, error) {
	r, start, err := prepare(o)
	if err != nil {
		return Result{}, err
	}
	defer r.close(o.Device)

	state, found, err := r.restore()
	if err != nil {
		return Result{}, fmt.Errorf("resuming %s: %w", o.Dir, err)
	}
	if !found {
		r.initialise()
	}
	result := func() Result {
		return Result{Run: r.dir, Images: state.Images, Steps: state.Steps, Loss: state.Loss}
	}
	if found && state.Images >= r.settings.Images {
		res := result()
		res.AlreadyRun = true
		return res, nil
	}
	if err := r.folder.begin(state.Images); err != nil {
		return result(), err
	}
	start.Images = state.Images
	if found {
		start.From, _ = Newest(r.dir)
	}
	o.Observer.Start(start)

	loader, err := data.NewLoader(r.data, data.LoaderOptions{
		Batch: r.trainer.Batch, Seed: r.settings.Seed, Flip: r.settings.Flip, SkipBroken: r.settings.SkipBroken, Start: state.Images,
	})
	if err != nil {
		return result(), err
	}
	defer loader.Close()
	begin, last, from, shown := time.Now(), time.Time{}, state.Images, state.Images
	var checkpoint string
	for state.Images < r.settings.Images {
		// What the step depends on besides the data.
		before := state.Images
		r.trainer.Hyper(r.hyper(state))
		loss := 0.0
		for i := range r.trainer.Accumulate {
			batch, err := loader.Next(ctx)
			if err != nil {
				if ctx.Err() != nil {
					break
				}
				return result(), err
			}
			r.trainer.Fill(Images{batch.Pixels, batch.Labels, batch.Indices}, r.objective)
			loader.Release(batch)
			loss += r.trainer.RunMicro(i) / float64(r.trainer.Accumulate)
			state.Images += int64(r.trainer.Batch)
		}
		if state.Images-before < int64(r.settings.Batch) { // stopped between micro-batches: the step has not happened
			state.Images = before
		} else {
			norm := r.trainer.Finish()
			if !finiteNumber(loss) || !finiteNumber(norm) {
				return result(), r.notFinite(state.Images, loss, norm)
			}
			state.Steps++
			state.Loss = r.settings.runningMean(state, loss)
			now := time.Now()
			final := state.Images >= r.settings.Images
			if now.Sub(last) >= statusPeriod || final {
				s := Status{
					Images: state.Images, Of: r.settings.Images, Steps: state.Steps, Loss: state.Loss, LR: r.settings.learningRate(before),
					GradNorm: norm, Elapsed: now.Sub(begin), Skipped: len(loader.Skipped()),
				}
				s.ImagesPerSecond = float64(state.Images-from) / now.Sub(begin).Seconds()
				if !last.IsZero() {
					s.ImagesPerSecond = float64(state.Images-shown) / now.Sub(last).Seconds()
				}
				s.Left = time.Duration(float64(r.settings.Images-state.Images) / s.ImagesPerSecond * float64(time.Second))
				r.observer.Status(s)
				if err := r.folder.status(s); err != nil {
					return result(), err
				}
				last, shown = now, state.Images
			}
		}
		stopping := ctx.Err() != nil
		if stopping || due(before, state.Images, r.settings.CheckpointEvery, r.settings.Images) {
			if state.Images > 0 {
				if checkpoint, err = r.checkpoint(state); err != nil {
					return result(), err
				}
				r.observer.Checkpoint(checkpoint, state.Images)
			}
		}
		if stopping {
			return result(), context.Cause(ctx)
		}
		if due(before, state.Images, r.settings.SampleEvery, r.settings.Images) {
			if err := r.samples(ctx, state.Images); err != nil && ctx.Err() == nil {
				return result(), err
			}
			last, shown = time.Now(), state.Images
		}
	}
	res := result()
	res.Seconds, res.Checkpoint = time.Since(begin).Seconds(), checkpoint
	return res, nil
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
	return keep*state.Loss + (1-keep)*loss
}

func (r *run) notFinite(images int64, loss, norm float64) error {
	e := &NotFiniteError{Images: images, Loss: loss, Norm: norm, Where: r.trainer.FirstBad()}
	if all, err := checkpoints(r.dir); err == nil && len(all) > 0 {
		e.Last = all[len(all)-1].path
	}
	return e
}

// initialise draws the first weights; their average begins with them.
func (r *run) initialise() {
	m := r.trainer.Memory
	nets.Initialise(r.trainer.Graph.Params, r.settings.Seed, m[plan.Parameters][:r.flat()])
	copy(m[plan.Average][:r.flat()], m[plan.Parameters])
}

func (r *run) flat() int { return nets.FlatSize(r.trainer.Graph.Params) }

func (r *run) close(d device.Device) {
	d.Free(r.trainer.Memory)
	r.folder.close()
}

// prepare turns settings into a run: process, network, plans, memory, folder.
func prepare(o Options) (*run, Start, error) {
	s := o.Settings
	if err := s.Validate(); err != nil {
		return nil, Start{}, err
	}
	p, err := process.Get(s.Schedule, process.ScheduleOptions{}, s.Output)
	if err != nil {
		return nil, Start{}, &SettingError{"schedule, output_kind", err.Error()}
	}
	times, err := process.GetTimeSampler(s.TimeSampler)
	if err != nil {
		return nil, Start{}, &SettingError{"time_sampler", err.Error()}
	}
	height, width, channels := o.Data.Shape()
	config, err := Network(s.Preset, height, width, channels, len(o.Data.Classes()))
	if err != nil {
		return nil, Start{}, err
	}
	r := &run{dir: o.Dir, settings: s, config: config, data: o.Data, observer: o.Observer}
	r.objective = Objective{Process: p, Times: times, Seed: s.Seed, LabelDrop: s.LabelDrop, NullClass: len(o.Data.Classes())}
	step, err := NewStep(StepOptions{
		Config: config, Height: height, Width: width, Batch: s.Batch / s.Accumulate, Accumulate: s.Accumulate, Threads: o.Device.Threads(),
	})
	if err != nil {
		return nil, Start{}, err
	}
	sizes := step.Sizes()
	grid, err := r.gridStep(height, width, o.Device.Threads())
	if err != nil {
		return nil, Start{}, err
	}
	if grid != nil {
		sizes[plan.Arena] = max(sizes[plan.Arena], grid.Plan.Sizes[plan.Arena])
	}
	var changes []Change
	if r.folder, changes, err = openFolder(o.Dir, s, o.Fresh); err != nil {
		return nil, Start{}, err
	}
	memory := o.Device.Alloc(sizes)
	r.trainer = step.Load(o.Device, memory)
	if grid != nil {
		average := memory
		average[plan.Parameters] = memory[plan.Average]
		r.sampler = grid.Load(o.Device, average)
	}
	return r, Start{
		Run: o.Dir, Settings: s, Changes: changes,
		Dataset: o.Data.Name(), DatasetImages: o.Data.Len(), Height: height, Width: width, Channels: channels, Classes: o.Data.Classes(),
		Parameters: nets.Count(step.Graph.Params), Tensors: len(step.Graph.Params),
		Device: o.Device.Describe(), PlannedBytes: plan.Bytes(sizes), StepFLOPs: step.Cost().FLOPs,
		Objective: fmt.Sprintf("%v, times %s", p, times.Name),
	}, nil
}

// Network is a preset, or the network of a folder, for images like these. With
// classes its table has one row more, for an image without its label.
func Network(preset string, height, width, channels, classes int) (nets.Config, error) {
	c, err := nets.Preset(preset)
	if err != nil {
		var folderErr error
		if c, folderErr = nets.ReadConfig(preset); folderErr != nil {
			return c, &SettingError{"preset", fmt.Sprintf("%v; nor is it a folder with a network (%v)", err, folderErr)}
		}
	}
	if height != width {
		return c, &SettingError{"size", fmt.Sprintf("images of %d×%d pixels are not square; give a size to crop them", height, width)}
	}
	if least := 1 << (len(c.BlockOutChannels) - 1); height%least != 0 {
		return c, &SettingError{"size", fmt.Sprintf("%d pixels cannot be halved %d times as preset %s does; want a multiple of %d",
			height, len(c.BlockOutChannels)-1, preset, least)}
	}
	c = c.WithChannels(channels).WithSize(height).WithClasses(0)
	if classes > 0 {
		c = c.WithClasses(classes + 1)
	}
	return c, c.Validate()
}

// Package train trains a network: the loop and its hooks, a training step compiled to
// plans, the settings of a run, and what its checkpoints hold. Package rundir keeps them.
package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/augment"
	"fluxion/engine/collective"
	"fluxion/engine/couple"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/objective"
	"fluxion/engine/plan"
	"fluxion/engine/record"
	"fluxion/engine/rundir"
	"fluxion/engine/scheduler"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// Options of Run.
type Options struct {
	Settings Settings
	Dir      string // run folder; made if need be
	Fresh    bool   // begin anew; what the folder holds is removed with the first checkpoint
	// IgnoreKeys are unknown keys that the config.json of a folder given as preset may have.
	IgnoreKeys []string

	From int64 // images of the checkpoint to go on from; 0: the newest
	Data data.Dataset
	// Objective is what NewObjective has made of settings and data; nil: it is made here.
	Objective objective.Objective
	Device    device.Device
	Observer  Observer
	Disk      durable.Disk     // that the run folder lies on
	Group     collective.Group // the processes that train together; the zero value: this one alone
	Origin    []string         // lines for the log on what trains here: version, command
	SaveNow   <-chan os.Signal // asks for a checkpoint and a grid after the next step; may be nil

	Hooks []Hook        // called after a status is told, and before a checkpoint is made
	Sinks []record.Sink // told after the run's own
	// Making is told how much of a grid's images is done, as they are made; nil: nobody is.
	Making func(done, of int)
	// Distributions tells sinks of those of weights and gradients, with every grid.
	Distributions bool
}

// lossMemory is how many images the running mean of the loss looks back, about.
const lossMemory = 1000

// run is a run in progress.
type run struct {
	dir       string
	settings  Settings
	network   nets.Network
	data      data.Dataset
	dataset   dataset // the same, as a checkpoint says it
	observer  Observer
	objective objective.Objective
	teacher   *objective.Teacher    // nil: none
	decoding  *decoding             // nil: data are no latents
	coupling  couple.Coupling       // nil: by chance
	augment   *augment.Augmentation // nil: images are as they are
	labels    *labels               // nil: classes, or none
	pairing   *pairing              // nil: the coupling asks for no products
	recipe    Recipe                // of the preset
	baseline  float64               // the loss of a network without knowledge
	atZero    float64               // the loss of the answer 0
	scheduler scheduler.Config      // the same, as a checkpoint says it
	precision number.Type
	memory    device.Memory
	trainer   *Trainer
	generator *generate.ShapesGenerator // nil: no grids
	disk      durable.Disk
	group     collective.Group
	folder    *rundir.Dir
	beginning *beginning        // nil: random weights, or a checkpoint's
	from      *model.Checkpoint // that the run goes on from; nil: from the start

	stream      data.Stream
	brought     brought // the micro-batch that is next
	meter       *meter
	pace        pace       // of steps
	skippedTold int        // images left out here that the first process knows of
	paused      bool       // the other processes know that this one makes no steps
	noise       noiseScale // of gradients; zero where nobody measures it
	saver       *saver
	saveNow     <-chan os.Signal
	all         []Hook       // in their order
	begun       []Hook       // of them
	record      record.Sinks // that are told

	distributions bool // as well
	making        func(done, of int)

	state State          // after the last whole step
	back  int64          // images of the checkpoint that it last went back to; 0: none, or its beginning
	first []func() error // bring hooks to where they were before the first step
	stage int            // whose teacher the device holds
	owed  *owed          // nil: every stage that has ended has its model
	sound bool           // the device holds that state

	kept     map[*plan.Buffer][]float32 // the state of which the others have not got their parts yet
	averaged int64                      // images after which this process has all of the first average

	last   Outcome // of that step
	next   ahead
	told   bool // that the run is stuck
	asked  bool // for a checkpoint and a grid after this step
	unread bool // what the observer shows
}

// Run trains until the settings' number of images has been seen, from the newest
// checkpoint in the folder if there is one. Whatever ends it before, it saves the
// steps it has made. When ctx ends it finishes the step and returns the context's
// cause.
//
// Of several processes the first does so, and alone has a run folder, hooks and sinks; the
// others make their part of each step: see followSteps.
func Run(ctx context.Context, o Options) (_ Result, err error) {
	if o.Group.World == 0 {
		o.Group = collective.Alone
	}
	if err := o.Group.Check(); err != nil {
		return Result{}, err
	}
	if o.Group.Rank > 0 {
		return Result{}, followSteps(ctx, o)
	}
	r, start, err := prepare(o)
	if err := r.meet(o, err); err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	already, err := r.begin(ctx, start)
	if err == nil {
		err = r.share()
	}
	for err == nil && !r.finished() {
		if err = r.step(ctx); err == nil {
			err = r.after(ctx)
		}
		if err == nil {
			r.paused = false
			err = r.order(order{Kind: goesOn})
			continue
		}
		r.settle()
		_ = r.pause() // or the next exchange says what is wrong
		if err = r.recover(ctx, err); err == nil {
			err = r.share()
		}
	}
	if failed := r.pause(); err == nil {
		err = failed
	}
	err = r.end(err)
	r.dismiss(ctx, err)
	return r.result(already), r.faulted(err)
}

func (r *run) finished() bool { return r.state.Images >= r.settings.Images }

// begin brings the run to the state from which it goes on.
func (r *run) begin(ctx context.Context, start Start) (already bool, err error) {
	note := ""
	if r.from != nil {
		var changes []Change
		if changes, note, err = r.compareData(r.from.Path, start.Changes); err != nil {
			return false, err
		}
		start.Changes = append(start.Changes, changes...)
	}
	if err := r.keepBeginning(); err != nil {
		return false, err
	}
	state, found, err := r.restore()
	if err == nil && !found {
		err = r.initialise()
	}
	if err != nil {
		return false, err
	}
	r.state, r.sound, r.saver.images = state, true, state.Images
	r.meter = newMeter(state)
	if found && r.finished() {
		if err := r.beginHooks(); err != nil {
			return true, err
		}
		return true, r.makeUp(ctx)
	}
	settings, err := r.settings.text()
	if err == nil {
		err = r.folder.Begin(settings, state.Images)
	}
	if err != nil {
		return false, err
	}
	start.Images = state.Images
	if found {
		start.From = r.from.Path
	}
	if r.trainer.onDevices() {
		start.About = append(start.About, [2]string{"exchange", "of gradients and weights between GPUs, by " + r.trainer.peers.About()})
	}
	r.folder.Note("recipe of %s: %v", start.Recipe.Of, start.Recipe)
	if start.Baseline != 0 { // else it is not known for this objective
		r.folder.Note("loss of a network without knowledge: %.4f, for pixels of variance %.4f", start.Baseline, start.Variance)
	}
	r.observer.Start(start)
	if note != "" {
		r.warn("%s", note)
	}
	if r.folder.Aside() {
		what := "the run that is here"
		if found {
			what = fmt.Sprintf("what is here of more than %d images", state.Images)
		}
		r.warn("%s is set aside: it is removed when there is a new checkpoint, and comes back if there is none", what)
	}
	if err := r.beginHooks(); err != nil {
		return false, err
	}
	if err := r.makeUp(ctx); err != nil {
		return false, err
	}
	r.stream, err = r.openStream(ctx, state.Images)
	r.meter = newMeter(state) // bringing data to the device was no step
	return false, err
}

// initialise writes the weights that the run begins with.
func (r *run) initialise() (err error) {
	if r.beginning == nil { // there is none, or the run begins anew
		r.beginning, err = readBeginning(r.settings, r.network, r.objective.Process(), r.trainer.Trained.Params, r.data.Classes(), r.teacher)
	}
	if err == nil {
		err = r.trainer.Initialise(r.settings.Seed)
	}
	if err == nil && r.beginning != nil {
		r.labels.begin(r.beginning, r.teacher)
		err = r.beginning.write(r.trainer)
	}
	if err == nil {
		err = r.keepFirst()
	}
	if err == nil { // averages begin with what was drawn
		err = r.trainer.forceUnit()
	}
	r.beginning = nil // its memory is needed no more
	return err
}

// step trains on one batch. Where data fail or ctx ends before the batch is whole,
// or a hook does not let it count, it has not happened.
func (r *run) step(ctx context.Context) error {
	if err := r.enterStage(); err != nil {
		return err
	}
	begin := time.Now()
	if r.group.World > 1 {
		skipped := r.stream.Skipped()
		r.trainer.part.Skipped = skipped[min(r.skippedTold, len(skipped)):]
		r.skippedTold = len(skipped)
	}
	outcome, err := r.outcome(ctx)
	r.sound = !outcome.Changed
	if err != nil {
		return err
	}
	next := r.counted(outcome)
	if err := r.check(r.progress(next, outcome)); err != nil {
		return err
	}
	r.state, r.last, r.sound = next, outcome, true
	r.pace.add(time.Since(begin))
	return nil
}

// fill sets the next micro-batch of the trainer.
func (r *run) fill(ctx context.Context) error {
	r.fetch(ctx)
	err := r.brought.err
	if r.brought = (brought{}); err == nil {
		r.trainer.Feed()
	}
	return err
}

// brought is what came of bringing a micro-batch to the trainer, or that it is to be done.
type brought struct {
	done bool
	err  error
}

// fetch brings the next micro-batch to the trainer, unless it is there.
func (r *run) fetch(ctx context.Context) {
	if !r.brought.done {
		r.brought = brought{true, r.fetchNext(ctx)}
	}
}

func (r *run) fetchNext(ctx context.Context) error {
	batch, err := r.stream.Next(ctx)
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		return stopError{err}
	}
	if err != nil {
		return err
	}
	r.trainer.Bring(batch)
	r.stream.Release(batch)
	return nil
}

// end saves what has not been saved, closes the hooks, and writes down why the run ended.
func (r *run) end(err error) error {
	unsaved := r.saver.wait()
	if r.sound {
		unsaved = r.saver.finish(r.state)
	}
	var gone *rundir.GoneError
	switch {
	case unsaved == nil:
	case errors.As(unsaved, &gone), errors.Is(err, unsaved):
		err = unsaved // which also is why the loop ended
	default:
		err = &UnsavedError{r.state.Images, r.saver.images, unsaved, err}
	}
	if failed := r.closeHooks(); failed != nil {
		err = errors.Join(err, failed)
	}
	switch {
	case r.meter == nil:
		r.folder.Note("not begun: %v", err)
	case err != nil:
		r.folder.Note("ended after %d images: %v", r.state.Images, err)
	default:
		r.folder.Note("done: %d images, loss %.4f, %.1f s", r.state.Images, r.state.Loss, r.state.Seconds)
		if text := r.unlearned(); text != "" {
			r.folder.Note("%s", text)
		}
	}
	return err
}

func (r *run) result(already bool) Result {
	res := Result{
		Run: r.dir, Images: r.state.Images, Steps: r.state.Steps, Loss: r.state.Loss, Seconds: r.state.Seconds,
		Checkpoint: r.saver.last, AlreadyRun: already, Floats: !data.Pictures(r.data) && r.decoding == nil, Inputs: r.settings.inputs(r.data), Unlearned: r.unlearned(),
	}
	if res.Inputs != "" {
		res.Fit = r.inputsFit()
	}
	if res.Checkpoint == "" && r.from != nil {
		res.Checkpoint = r.from.Path
	}
	res.Best, _ = model.ReadBest(r.dir) // it was written here, or the run would have ended
	return res
}

// inputsFit is how inputs were brought to the size of images, "" of those that were cropped or had it.
func (r *run) inputsFit() string {
	fit, b := data.Fit(r.settings.Fit), data.BucketsOf(r.data)
	height, width, _ := r.data.Shape()
	switch {
	case r.settings.Size != (data.Size{}) && fit != data.Crop && !fit.Varies():
		return r.settings.Fit
	case b != nil && height == width && !data.KeepsShapes(data.Inputs(r.data)): // pictures beside a file of several shapes
		return fmt.Sprintf("%s:%d", data.AspectBuckets, b.Step())
	}
	return ""
}

// warn tells the user and the log of what does not end the run.
func (r *run) warn(format string, args ...any) {
	if r.folder != nil {
		r.folder.Note(format, args...)
	}
	r.observer.Note(fmt.Sprintf(format, args...))
}

// hyper is the optimizer's part of the step after this state.
func (r *run) hyper(s State) Hyper {
	c, stage := r.settings, r.stageAt(s.Images)
	h := Hyper{Settings: c, LearningRate: r.learningRate(s.Images), Count: s.Steps + 1 - stage.begin/int64(c.Batch)}
	for i, a := range c.EMA { // they begin anew with each stage
		before := s.Images - stage.begin
		h.EMADecays[i] = a.kept(before, before+int64(c.Batch), c.EMAWarmup)
	}
	return h
}

// runningMean of the loss after so many steps, the last of which had this loss.
func (s Settings) runningMean(before float64, steps int64, loss float64) float64 {
	keep := max(0, 1-float64(s.Batch)/lossMemory)
	keep = min(keep, 1-1/float64(steps))
	return float64(keep*before) + float64((1-keep)*loss)
}

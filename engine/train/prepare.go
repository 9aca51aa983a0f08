package train

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"fluxion/data"
	"fluxion/engine/couple"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/objective"
	"fluxion/engine/plan"
	"fluxion/engine/scheduler"
	"fluxion/kernels/philox"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// close gives back what the run holds.
func (r *run) close() error {
	if r.stream != nil {
		r.stream.Close()
	}
	var err error
	if r.trainer != nil {
		err = r.trainer.Free()
	}
	if r.generator != nil {
		err = errors.Join(err, r.generator.Free())
	}
	err = errors.Join(err, r.pairing.free(), r.decoding.free())
	if r.memory != nil {
		err = errors.Join(err, r.memory.Free())
	}
	if r.folder == nil {
		return err
	}
	if r.folder.Aside() {
		r.observer.Note("there was no checkpoint: what " + r.dir + " held before is there again")
	}
	return errors.Join(err, r.folder.Close())
}

// planned is a run as plans, before there is anything of it.
type planned struct {
	step     *Step
	sampling *generate.Shapes // of grids; nil: none
	sizes    plan.Sizes
	kept     int64 // bytes that would be planned without recomputation

	snapshots Snapshots
}

// Check says why Run would refuse before its first step, as far as can be known without taking
// memory of the device or making a folder.
func Check(o Options) error {
	r, p, err := planRun(o)
	if err != nil {
		return err
	}
	if _, err = r.choose(o); err == nil {
		err = r.begins(p.step)
	}
	return errors.Join(err, r.close())
}

// begins reads the model that a run begins with, where it goes on from no checkpoint.
func (r *run) begins(step *Step) (err error) {
	if r.from != nil {
		return nil
	}
	r.beginning, err = readBeginning(r.settings, r.network, r.objective.Process(), step.Trained.Params, r.data.Classes(), r.teacher)
	if err == nil && r.beginning != nil {
		err = checkAutoencoder("init", r.settings.Init, r.beginning.from, r.data)
	}
	return err
}

// planRun turns settings into a run: process, network, plans.
func planRun(o Options) (r *run, p planned, err error) {
	s, err := o.Settings.Canonical()
	if err == nil {
		err = s.Validate()
	}
	if err != nil {
		return nil, p, err
	}
	if err := plan.CheckRecomputation(s.Recompute); err != nil {
		return nil, p, &SettingError{"recompute", err.Error()}
	}
	loss := o.Objective
	if loss == nil {
		if loss, err = NewObjective(s, o.Data); err != nil {
			return nil, p, err
		}
	}
	if err := Shareable(o.Group.World, s); err != nil {
		return nil, p, err
	}
	coupling, err := newCoupling(s, o.Data)
	if err != nil {
		return nil, p, err
	}
	precision, err := precisionFor(s, loss, o.Device.Target())
	if err != nil {
		return nil, p, err
	}
	s.Precision = precision.String()
	height, width, channels := o.Data.Shape()
	preset := s.Preset
	if !o.Fresh {
		preset = presetOf(preset, o.Dir)
	}
	network, err := Network(preset, loss.Fit(nets.Spec{Height: height, Width: width, Channels: channels, Classes: len(o.Data.Classes()), Condition: labelled(o.Data), Concat: s.GivenChannels(o.Data), Dropout: s.Dropout, Augmented: s.Augment != ""}), o.IgnoreKeys...)
	if err != nil {
		return nil, p, err
	}
	if err := s.checkGuidance(o.Data, network.Spec()); err != nil {
		return nil, p, err
	}
	if err := s.checkBuckets(o.Data, network.Spec()); err != nil {
		return nil, p, err
	}
	first, end := 0, s.Accumulate
	if coupling == nil && o.Group.World > 1 { // else every process has the whole step
		first, end = o.Group.Share(s.Accumulate)
	}
	if err := data.CheckStream(o.Data, data.LoaderOptions{Step: s.Accumulate, First: first, End: end}); err != nil {
		return nil, p, err
	}
	if t := teacherOf(loss); t != nil && t.Frozen.Network.Spec().Embedding != network.Spec().Embedding {
		return nil, p, &SettingError{"preset", fmt.Sprintf("the network of preset %s takes a vector of %d numbers of an image, and the teacher one of %d; want no preset, which takes the teacher's own network", preset, network.Spec().Embedding, t.Frozen.Network.Spec().Embedding)}
	}
	if err := network.Spec().CheckOutput(loss.Process().Output.Name); err != nil {
		return nil, p, &SettingError{"output_kind", err.Error()}
	}
	if _, ok := loss.(staged); ok && !alike(network, teacherOf(loss).Frozen.Network) {
		return nil, p, &SettingError{"teacher", s.Teacher + " is another network than the one that is trained, which is to become the teacher of the next stage; want no preset, which takes the teacher's own network, and the augment and guidance_input that it has, if it has any"}
	}
	if _, ok := loss.(staged); ok && s.EMASnapshotEvery > 0 {
		return nil, p, &SettingError{"ema_snapshot_every", fmt.Sprintf("%d, but averages of objective %s begin anew with each stage; want 0", s.EMASnapshotEvery, s.Objective)}
	}
	recipe, err := RecipeOf(preset, s.Data, o.IgnoreKeys...)
	if err != nil {
		return nil, p, err
	}
	augmentation, err := newAugmentation(s, o.Data)
	if err != nil {
		return nil, p, err
	}
	r = &run{dir: o.Dir, settings: s, augment: augmentation, network: network, recipe: recipe, data: o.Data, dataset: describe(o.Data), observer: o.Observer, precision: precision, objective: loss, teacher: teacherOf(loss), coupling: coupling, saveNow: o.SaveNow, disk: o.Disk, group: o.Group, distributions: o.Distributions, making: o.Making}
	if r.labels, err = newLabels(o.Data, network, s.LabelDrop); err != nil {
		return nil, p, err
	}
	r.saver = r.newSaver()
	if r.all, err = r.hooks(o.Hooks); err != nil {
		return nil, p, err
	}
	if r.scheduler, err = scheduler.Of(loss.Process()); err != nil {
		return nil, p, &SettingError{"schedule, output_kind", err.Error()}
	}
	if !data.Pictures(r.data) {
		r.scheduler.Unclipped()
	}
	if network.Spec().Variance {
		r.scheduler.Learnt()
	}
	if _, err = r.planSampling(0); err != nil {
		return nil, p, &SettingError{"schedule, output_kind", err.Error()}
	}
	if r.decoding, err = r.newDecoding(); err == nil {
		err = r.decoding.read(r.data, o.Device, r.picturesDecoded())
	}
	if err != nil {
		return nil, p, err
	}
	if p.kept, err = r.keptBytes(o.Device); err != nil {
		return nil, p, err
	}
	if p.step, p.sampling, p.sizes, err = r.compile(o.Device); err != nil {
		return nil, p, err
	}
	if err := device.CheckMemory(r.needs(o.Device, p.sizes, p.step, p.sampling)...); err != nil {
		return nil, p, err
	}
	if err := device.CheckRoom(o.Device, p.sizes, r.besideBytes(), func(fits func(plan.Sizes) bool) []string { return r.smaller(o.Device, fits) }); err != nil {
		return nil, p, err
	}
	if s.Recompute == "none" {
		p.kept = p.sizes.Bytes()
	}
	p.snapshots, err = r.plannedSnapshots(p.step)
	return r, p, err
}

// prepare makes a run of settings: plans, folder, memory.
func prepare(o Options) (*run, Start, error) {
	r, p, err := planRun(o)
	if err != nil {
		return nil, Start{}, err
	}
	s, network, loss, step, sizes := r.settings, r.network, r.objective, p.step, p.sizes
	height, width, channels := o.Data.Shape()
	changes, err := r.openFolder(o)
	if err != nil {
		return nil, Start{}, err
	}
	if err := r.begins(step); err != nil {
		r.folder.Note("ended: %v", err)
		return nil, Start{}, errors.Join(err, r.close())
	}
	r.labels.begin(r.beginning, r.teacher)
	r.labels.resume(r.from)
	r.record = r.sinks(o.Sinks)
	for _, line := range append(o.Origin, "device: "+o.Device.Describe()+", "+s.Precision) {
		r.folder.Note("%s", line)
	}
	if err := r.load(o.Device, sizes, step, p.sampling); err != nil {
		r.folder.Note("ended: %v", err)
		return nil, Start{}, errors.Join(err, r.close())
	}
	mean, variance := 0.0, 0.0
	if r.group.Rank == 0 { // which alone tells; others open no image that they do not train on
		mean, variance = pixelMoments(o.Data)
	}
	r.baseline, r.atZero = loss.Baseline(mean, variance)
	return r, Start{
		Run: o.Dir, Settings: s, Changes: changes,
		Dataset: o.Data.Name(), DatasetImages: o.Data.Len(), Height: height, Width: width, Channels: channels, Floats: o.Data.Kind() == data.Floats, Classes: o.Data.Classes(), Numbers: r.labels.about(network.Spec()), Notes: slices.Concat(data.Notes(o.Data), network.Notes(), r.presetNotes(), r.beginning.notes(loss.Process()), r.settings.warmupNotes(), r.latentNotes(), r.couplingNotes(), r.floatNotes(variance)), Resident: step.Resident > 0,
		Parameters: nets.Count(step.Trained.Params), Tensors: len(step.Trained.Params),
		Device: o.Device.Describe(), PlannedBytes: sizes.Bytes(), BesideBytes: r.besideBytes(), StepFLOPs: step.Cost().FLOPs, Snapshots: p.snapshots,
		KeptBytes: p.kept, AgainFLOPs: step.Recomputed().FLOPs,
		About:  append(r.about(step), r.aboutHooks()...),
		Recipe: r.recipe, Apart: r.recipe.Apply(s).Changes(s), Baseline: r.baseline, Variance: variance,
	}, nil
}

// nullClass is the class of an image without its label.
func (r *run) nullClass() int { return len(r.data.Classes()) }

// residentShare is the part of a device's free memory that a data set may take, as 1/residentShare.
const residentShare = 4

// compile makes the plans of a step and of grids, and the memory that both need.
// The data set is part of it if the device has room.
func (r *run) compile(d device.Device) (step *Step, sampling *generate.Shapes, sizes plan.Sizes, err error) {
	s := r.settings
	height, width, channels := r.data.Shape()
	o := StepOptions{
		Network: r.network, Height: height, Width: width, Shapes: shapes(r.data), Batch: s.Batch / s.Accumulate, Accumulate: s.Accumulate, Accumulation: s.Accumulation, Optimizer: s.Optimizer, DecayOf: s.WeightDecayOf, NoiseScale: s.NoiseScale, MoreEMAs: s.EMA.names(),
		Target: d.Target(), Precision: r.precision, Recompute: s.Recompute, Group: r.group,
		Objective: r.objective, Floats: r.data.Kind() == data.Floats || r.augment != nil, Augment: r.augment, Flip: s.Flip, Seed: s.Seed, LabelDrop: s.LabelDrop, NullClass: r.nullClass(), Labels: r.labels,
	}
	if key, paired := data.NoiseKey(r.data); paired {
		o.Noise = objective.Noise{Seed: key, Stream: philox.SampleStart}
	}
	room, err := d.Room()
	if err != nil {
		return nil, nil, sizes, err
	}
	room -= r.besideBytes()
	inputs, kind := data.InputOf(r.data)
	if !s.TakesInputs(r.data) {
		inputs = 0
	}
	o.InputFloats = kind == data.Floats
	pixel := channels*r.data.Kind().Size() + inputs*kind.Size()
	looks := r.augment != nil || data.Fit(s.Fit).Varies() || r.coupling != nil && !r.multiplies() || data.Unpaired(r.data) || data.Partial(r.data) || // at what batches hold
		s.draw(r.data) != nil || s.Flip && data.KeepsMirrored(r.data) || data.BucketsOf(r.data) != nil
	if bytes := plan.Product(r.data.Len(), height*width, pixel); bytes <= room/residentShare && !looks {
		o.Resident = r.data.Len()
	}
	for {
		if step, err = NewStep(o); err != nil {
			return nil, nil, sizes, err
		}
		if sampling, err = r.samplingSteps(step); err != nil {
			return nil, nil, nil, err
		}
		if sizes = step.Sizes(); sampling != nil {
			sizes = plan.Union(sizes, sampling.Sizes())
		}
		if r.multiplies() {
			if r.pairing, err = newPairing(o, step.Buffers.Images); err != nil {
				return nil, nil, nil, err
			}
			sizes = plan.Union(sizes, r.pairing.plan.Sizes)
		}
		sizes = plan.Union(sizes, r.decoding.sizes())
		for _, h := range r.all {
			if h.Compile == nil {
				continue
			}
			more, err := h.Compile(step)
			if err != nil {
				return nil, nil, nil, err
			}
			sizes = plan.Union(sizes, more)
		}
		if o.Resident == 0 || sizes.Bytes() <= room {
			return step, sampling, sizes, nil
		}
		o.Resident = 0
	}
}

// multiplies says whether the coupling asks for products of images and noise, which are made
// where they lie. Of images and inputs it makes them itself.
func (r *run) multiplies() bool {
	return r.coupling != nil && couple.Multiplies(r.coupling) && !r.settings.beginsWithInputs()
}

// keptBytes is the memory that would be planned without recomputation, where there is
// some.
func (r *run) keptBytes(d device.Device) (int64, error) {
	if r.settings.Recompute == "none" {
		return 0, nil
	}
	other := *r
	other.settings.Recompute = "none"
	_, _, sizes, err := other.compile(d)
	return sizes.Bytes(), err
}

// load puts the step, and the sampling of grids, on the device.
func (r *run) load(d device.Device, sizes plan.Sizes, step *Step, sampling *generate.Shapes) (err error) {
	if r.memory, err = d.Alloc(sizes); err != nil {
		return err
	}
	if r.trainer, err = step.Load(d, r.memory); err != nil {
		return err
	}
	if r.pairing != nil {
		if err = r.pairing.load(d, r.memory); err != nil {
			return err
		}
	}
	if err = r.decoding.load(r.memory); err != nil || sampling == nil {
		return err
	}
	r.generator, err = sampling.Load(d, r.memory)
	return err
}

// Network is a preset, or the network of a folder, for images, classes and an estimate
// like these. With classes its table has one row more, for an image without its label.
func Network(preset string, images nets.Spec, ignore ...string) (nets.Network, error) {
	n, err := presetNetwork(preset, ignore)
	if err != nil {
		return nil, err
	}
	if images.Classes > 0 {
		images.Classes++
	}
	return fit(n, preset, images)
}

// fit is the network of a preset for images like these, or what it lacks.
func fit(n nets.Network, preset string, images nets.Spec) (nets.Network, error) {
	n, err := n.Fit(images)
	if err != nil {
		return nil, err
	}
	s := n.Spec()
	switch {
	case s.Condition != images.Condition:
		return nil, &SettingError{"preset", preset + " is a network that is told no numbers of an image, and the labels of the data are some; want another network, such as tiny, or labels folders or none"}
	case s.Classes != images.Classes:
		return nil, &SettingError{"preset", preset + " is a network that is told no classes, and the data have some; want another network, or pictures without sub-folders or arrays without labels"}
	case s.Dropout != images.Dropout:
		return nil, &SettingError{"dropout", fmt.Sprintf("the network of preset %s has no dropout; want 0", preset)}
	case s.Concat != images.Concat:
		return nil, &SettingError{"preset", "the network of preset " + preset + " takes no second image, and the data have inputs; want another network"}
	case s.Augmented != images.Augmented:
		return nil, &SettingError{"augment", "the network of preset " + preset + " cannot be told how images were transformed; " + noAugment}
	case s.Jump != images.Jump:
		return nil, &SettingError{"objective", "the network of preset " + preset + " cannot be told how far its answer is to lead, as flow maps are"}
	case s.Guidance != images.Guidance:
		return nil, &SettingError{"guidance_input", "the network of preset " + preset + " cannot be told its guidance"}
	case s.Variance != images.Variance:
		return nil, &SettingError{"objective", "the network of preset " + preset + " cannot say a variance, as objectives hybrid and vlb have it; want another network, such as tiny"}
	case s.Estimate != images.Estimate:
		return nil, &SettingError{"self_conditioning", "the network of preset " + preset + " takes no estimate of its own"}
	}
	if err := s.CheckSize("preset "+preset, images.Height, images.Width); err != nil {
		hint := ""
		if images.Height < s.Multiple {
			hint = "; preset " + strings.Join(anySize(), ", ") + " takes any size"
		}
		return nil, &SettingError{"size", err.Error() + hint}
	}
	return n, nil
}

// anySize are the presets that fit images of any size.
func anySize() []string {
	var names []string
	for _, p := range catalog.Presets() {
		if p.Network.Spec().Multiple == 0 {
			names = append(names, p.Name)
		}
	}
	return names
}

// presetOf is where a run reads its network: from its preset or, where that is a folder
// that is gone, from its own newest checkpoint.
func presetOf(preset, run string) string {
	if _, err := catalog.Preset(preset); err == nil || there(preset) {
		return preset
	}
	if all, err := model.Checkpoints(run); err == nil && len(all) > 0 {
		return all[len(all)-1].Path
	}
	return preset
}

// there says whether a path is something, or a checkpoint of a run, as RUN@best is.
func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil || model.Is(path)
}

// presetNetwork is the network of a preset, or of a folder, as it is there: of a model,
// a pipeline, or a run by its newest checkpoint. Its weights are not read.
func presetNetwork(preset string, ignore []string) (nets.Network, error) {
	p, err := catalog.Preset(preset)
	if err == nil {
		return p.Network, nil
	}
	if !there(preset) {
		return nil, &SettingError{"preset", fmt.Sprintf("%v; nor is there such a folder", err)}
	}
	return folderNetwork("preset", preset, ignore)
}

// folderNetwork is the network of a folder that a setting names.
func folderNetwork(key, path string, ignore []string) (nets.Network, error) {
	n, where, err := model.ReadNetwork(path, ignore...)
	if _, gone := os.Stat(where); gone != nil && !errors.As(err, new(*model.AddressError)) {
		err = errors.New("there is no such folder; want a run, a checkpoint or the folder of a diffusers model")
	}
	if err != nil {
		return nil, &PresetError{key, path, err}
	}
	return n.WithNotes("the network is that of " + where), nil
}

// PresetError is a folder that a setting names, as preset does, and whose network
// cannot be used.
type PresetError struct {
	Key, Dir string
	Err      error
}

func (e *PresetError) Error() string { return fmt.Sprintf("%s %s: %v", e.Key, e.Dir, e.Err) }
func (e *PresetError) Unwrap() error { return e.Err }

// presetNotes say that a folder given as preset gives its network alone.
func (r *run) presetNotes() []string {
	if _, err := catalog.Preset(r.settings.Preset); err == nil || r.settings.Init != "" {
		return nil
	}
	return []string{"its weights are not read: training begins with random ones (--seed); --init begins with those of a model"}
}

// about is what a user should know of what the run learns, and of what.
func (r *run) about(step *Step) [][2]string {
	about := r.objective.About()
	if of := step.optimizer.about; of != nil {
		about = append(about, [2]string{"optimizer", of(step.Trained.Params)})
	}
	if step.joins() {
		about = append(about, [2]string{"parts", step.aboutParts()})
	}
	if n := r.settings.GivenChannels(r.data); n > 0 {
		about = append(about, [2]string{"condition", fmt.Sprintf("the network is given the input, of %s, behind the noisy image", channelsText(n))})
	}
	if r.augment != nil {
		about = append(about, [2]string{"augment", r.augment.String()})
	}
	if r.coupling != nil {
		about = append(about, [2]string{"coupling", r.coupling.String()})
	}
	return about
}

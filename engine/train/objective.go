package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"fluxion/data"
	"fluxion/engine/augment"
	"fluxion/engine/couple"
	"fluxion/engine/device"
	"fluxion/engine/model"
	"fluxion/engine/objective"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/kernels/number"
)

// Canonical says the same in one way: the self-conditioning objective is written as
// denoising with a share of self_conditioning, as runs had it before there were others.
func (s Settings) Canonical() (Settings, error) {
	kind, err := objective.Find(s.Objective)
	if err != nil {
		return s, &SettingError{"objective", err.Error()}
	}
	plain := objective.Names()[0]
	switch share := kind.Share(); {
	case share == 0 && s.SelfConditioning > 0 && kind.Name != plain:
		return s, &SettingError{"self_conditioning", fmt.Sprintf("%g is for objective %s alone, and this is %s; leave it out", s.SelfConditioning, plain, s.Objective)}
	case share == 0:
	case s.SelfConditioning > 0 && s.SelfConditioning != share:
		return s, &SettingError{"objective", fmt.Sprintf("%s beside self_conditioning %g, which may be the run's own; to change the share of a run, give --self-conditioning %g alone", s.Objective, s.SelfConditioning, share)}
	default:
		s.Objective, s.SelfConditioning = plain, share
	}
	return s.toldAsTeacher(kind), nil
}

// NewObjective returns the objective of a run on data; nil: on such as it wants.
func NewObjective(s Settings, d data.Dataset) (objective.Objective, error) {
	s, err := s.Canonical()
	if err != nil {
		return nil, err
	}
	name := s.Objective
	if s.SelfConditioning > 0 {
		name = fmt.Sprintf("self-conditioning:share=%g", s.SelfConditioning)
	}
	kind, err := objective.Find(name)
	if err != nil {
		return nil, &SettingError{"objective", err.Error()}
	}
	setup := objective.Setup{Seed: s.Seed, Batch: s.Batch, Images: s.Images, Target: s.Target, Distance: s.Loss, Levels: d != nil && d.Kind() == data.Bytes}
	if s.Uncertainty {
		setup.Uncertainty = objective.NewUncertainty(s.Batch)
	}
	paired := false
	if d != nil {
		_, paired = data.NoiseKey(d)
	}
	if setup.Paired = paired || d == nil; paired && s.Flip {
		return nil, &SettingError{"flip", "true would mirror the images of pairs and not their noise; want false"}
	}
	if err := s.checkLatents(d); err != nil {
		return nil, err
	}
	if err := s.checkInputs(d); err != nil {
		return nil, err
	}
	if _, err := newCoupling(s, d); err != nil {
		return nil, err
	}
	if made := process.Gaussian; paired && cmp.Or(data.NoiseSource(d), made) != s.Source {
		made = cmp.Or(data.NoiseSource(d), made)
		return nil, &SettingError{"source", fmt.Sprintf("%s, and the pairs were made of %s; want %s", s.Source, made, made)}
	}
	p, err := process.Get(s.Schedule, process.ScheduleOptions{ZeroSNR: s.ZeroSNR, Shift: s.Shift, MaxLogSNR: s.ClipLambda, Scale: s.Scale, TimeScale: s.TimeScale}, s.Output)
	if err != nil {
		return nil, &SettingError{"schedule, output_kind", err.Error()}
	}
	if p, err = p.With(s.Source, s.Bridge); err != nil {
		return nil, &SettingError{"source, bridge", err.Error()}
	}
	if setup.Objective, err = process.NewObjective(p, s.TimeSampler, s.Weighting); err != nil {
		return nil, &SettingError{"time_sampler, weighting", err.Error()}
	}
	if setup.Teacher, err = readTeacher(s, d); err != nil {
		return nil, err
	}
	if setup.Scales, err = s.scales(); err != nil {
		return nil, err
	}
	o, err := kind.New(setup)
	if of := (*objective.KeyError)(nil); errors.As(err, &of) {
		return nil, &SettingError{of.Key, of.Err.Error()}
	}
	if err != nil {
		return nil, &SettingError{"objective", err.Error()}
	}
	if setup.Teacher != nil && teacherOf(o) == nil {
		return nil, &SettingError{"teacher", fmt.Sprintf("objective %s learns from none; leave it out, or give an objective such as progressive", kind.Name)}
	}
	if s.Uncertainty && o.State() == nil {
		return nil, &SettingError{"uncertainty", fmt.Sprintf("objective %s has weights of its own; want one that denoises: denoising, self-conditioning or reflow", kind.Name)}
	}
	return o, nil
}

// newCoupling returns the coupling of a run on data; nil: by chance.
func newCoupling(s Settings, d data.Dataset) (couple.Coupling, error) {
	c, err := couple.Get(s.Coupling)
	if err != nil {
		return nil, &SettingError{"coupling", err.Error()}
	}
	if d == nil || c == nil {
		return c, nil
	}
	if s.Batch > couple.MostImages && couple.Multiplies(c) {
		return nil, &SettingError{"coupling", fmt.Sprintf("%v takes long to pair a batch of %d images; want a batch of at most %d, or another coupling", c, s.Batch, couple.MostImages)}
	}
	if _, paired := data.NoiseKey(d); paired {
		return nil, &SettingError{"coupling", fmt.Sprintf("%v would part the pairs of the data; want %s", c, couple.Independent)}
	}
	return c, nil
}

// newAugmentation returns what is done to the images of data; nil: nothing.
func newAugmentation(s Settings, d data.Dataset) (*augment.Augmentation, error) {
	height, width, _ := d.Shape()
	a, err := augment.New(s.Augment, s.Flip, s.Seed, min(height, width))
	if err == nil && a != nil && data.BucketsOf(d) != nil {
		err = fmt.Errorf("images of several shapes (fit %s) cannot be turned; want fit %s, or leave it out", s.Fit, data.Crop)
	}
	if err == nil && a != nil && height != width {
		err = fmt.Errorf("images of %d×%d pixels cannot be turned; want squares, by --size N, or leave it out", width, height)
	}
	if _, paired := data.NoiseKey(d); err == nil && a != nil && paired {
		err = errors.New("images of pairs would be transformed, and not their noise; leave it out")
	}
	if channels, _ := data.InputOf(d); err == nil && a != nil && channels > 0 {
		err = errors.New("images would be transformed, and not those that they are to be made of; leave it out")
	}
	if err != nil {
		return nil, &SettingError{"augment", err.Error()}
	}
	return a, nil
}

// couplingNotes say what should be known of a coupling.
func (r *run) couplingNotes() []string {
	switch {
	case r.coupling == nil:
		return nil
	case r.labels != nil:
		return []string{fmt.Sprintf("coupling %v moves noise between images of any labels: the network can tell numbers by the noise, which is all alike in sampling", r.coupling)}
	case len(r.data.Classes()) > 0 && r.coupling.String() == "ot-across":
		return []string{"coupling ot-across moves noise between classes: the network can tell a class by its noise, which is all alike in sampling; ot keeps noise in its class"}
	case strings.HasPrefix(r.coupling.String(), "nearest"):
		return []string{"coupling nearest takes noise that is smaller than that of sampling, the more the fewer dimensions images have"}
	}
	return nil
}

// ObjectiveOf returns the objective that a checkpoint, or a model in one file, was trained on, as
// its settings name it; nil for one that tells of none.
func ObjectiveOf(path string) (objective.Objective, error) {
	text, where, err := model.SettingsOf(path)
	if err != nil || text == nil {
		return nil, err
	}
	s, err := parseSettings(where, text)
	if err != nil {
		return nil, err
	}
	return NewObjective(s, nil)
}

// objectiveFor returns the first of the list that trains the network of a step as it is.
func objectiveFor(o StepOptions) (objective.Objective, error) {
	s, like := Default(), o.Network.Spec()
	s.Batch = o.Batch * o.Accumulate
	for _, name := range objective.Names() {
		s.Objective, s.TimeScale = name, timeScale(name)
		if found, err := NewObjective(s, nil); err == nil && found.Fit(like) == like { // some want a teacher
			return found, nil
		}
	}
	return nil, fmt.Errorf("no objective trains a network that takes %+v", like)
}

// precisionFor is the type of activations. Objectives that take differences want float32:
// it is theirs where nobody says.
func precisionFor(s Settings, o objective.Objective, t plan.Target) (number.Type, error) {
	derives, ok := o.(interface{ Derives() bool })
	if ok && derives.Derives() {
		switch s.Precision {
		case "auto":
			return number.Float32, nil
		case number.BFloat16.String():
			return 0, &SettingError{"precision", fmt.Sprintf("objective %s takes differences of the network's answers, which bf16 is too coarse for; want fp32", s.Objective)}
		}
	}
	precision, err := device.Precision(s.Precision, t)
	if err != nil {
		return 0, &SettingError{"precision", err.Error()}
	}
	return precision, nil
}

// learningHook lets the objective learn from each step, if it does.
func (r *run) learningHook() Hook {
	h := Hook{Name: "objective"}
	state := r.objective.State()
	if state == nil {
		return h
	}
	h.Every = 1
	h.After = func(context.Context, Progress) error { r.trainer.Observe(); return nil }
	h.Keep = state
	return h
}

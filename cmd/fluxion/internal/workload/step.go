package workload

import (
	"context"
	"errors"

	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/plan"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/train"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// Step is what is timed, on a device.
type Step struct {
	Run, Free func() error
	Plan      *plan.Plan
	Launches  func(visit func(i int) error) error // runs the plan launch by launch
	Bytes     int64                               // planned
	FLOPs     int64                               // of a step, without what is computed again
}

// Step loads a training step, or an evaluation of the network, onto the device.
func (w *Workload) Step(training bool) (Step, error) {
	if training {
		return w.trainStep()
	}
	return w.sampleStep()
}

// training is a whole training step for a target, and the settings of its run.
func (o Options) training(network nets.Network, target plan.Target, precision number.Type) (*train.Step, train.Settings, error) {
	settings := o.Objectives.Settings()
	settings.Batch = o.Batch
	objective, err := train.NewObjective(settings, nil)
	if err != nil {
		return nil, settings, err
	}
	s, err := train.NewStep(train.StepOptions{
		Network: network, Objective: objective, Seed: settings.Seed, Height: o.Size.Height, Width: o.Size.Width, Batch: o.Batch, Accumulate: 1, Target: target, Precision: precision,
		Without: o.Without, Recompute: o.Recompute,
	})
	return s, settings, err
}

// trainStep is a whole training step on made-up images.
func (w *Workload) trainStep() (Step, error) {
	s, settings, err := w.training(w.Network, w.Device.Target(), w.Activations)
	if err != nil {
		return Step{}, err
	}
	if err := device.CheckMemory(s.Needs(w.Device, s.Sizes())...); err != nil {
		return Step{}, err
	}
	memory, err := w.Device.Alloc(s.Sizes())
	if err != nil {
		return Step{}, err
	}
	t, err := s.Load(w.Device, memory)
	if err != nil {
		return Step{}, errors.Join(err, memory.Free())
	}
	free := func() error { return errors.Join(t.Free(), memory.Free()) }
	if err := t.Initialise(1); err != nil {
		return Step{}, errors.Join(err, free())
	}
	images := &data.Batch{Pixels: data.NewPixels(data.Bytes, w.Batch*w.Size.Height*w.Size.Width*w.Network.Spec().Channels), Classes: make([]int32, w.Batch), Indices: make([]int64, w.Batch)}
	for i := range images.Pixels.Bytes {
		images.Pixels.Bytes[i] = byte(i * 31)
	}
	hyper := train.Hyper{Settings: settings, LearningRate: 1e-4, EMADecays: [train.MaxEMAs]float64{0.99}}
	fill := func(int) error { t.Fill(images); return nil }
	next := func() {
		hyper.Count++
		for i := range images.Indices {
			images.Indices[i] = (hyper.Count-1)*int64(w.Batch) + int64(i)
		}
	}
	var under func() (train.Outcome, error) // the step that was launched before, as in a run
	step := func() (err error) {
		next()
		if !t.Ahead() {
			_, err = t.Train(hyper, fill)
			return err
		}
		if under == nil {
			if under, err = t.Begin(hyper, fill); err != nil {
				return err
			}
			next()
		}
		end := under
		under, err = t.Begin(hyper, fill)
		_, failed := end()
		return errors.Join(err, failed)
	}
	return Step{step, free, s.Micro, t.Launches, s.Sizes().Bytes(), s.Cost().FLOPs - s.Recomputed().FLOPs}, nil
}

// firstWeights writes those of a step's network.
func firstWeights(s *generate.Step) func(device.Memory) error {
	draw := func(flats ...[]float32) { nets.Initialise(s.Graph.Params, 1, flats...) }
	return func(m device.Memory) error { return device.Fill(m, s.Weights.Size, draw, s.Weights) }
}

// sampling is one evaluation of the network with the sampler's update, for a target.
func (o Options) sampling(network nets.Network, target plan.Target, precision number.Type) (*generate.Step, error) {
	return generate.NewStep(generate.Options{
		Network: network, Height: o.Size.Height, Width: o.Size.Width, Batch: o.Batch, Target: target, Precision: precision, Prepare: true, Without: o.Without,
	})
}

// sampleStep is an evaluation on a device.
func (w *Workload) sampleStep() (Step, error) {
	s, err := w.sampling(w.Network, w.Device.Target(), w.Activations)
	if err != nil {
		return Step{}, err
	}
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		return Step{}, err
	}
	method, err := sampler.Get("euler")
	if err != nil {
		return Step{}, err
	}
	table, err := method.Plan(p, sampler.Options{Steps: 1})
	if err != nil {
		return Step{}, err
	}
	g, free, err := machine.Load(w.Device, s, firstWeights(s))
	if err != nil {
		return Step{}, err
	}
	request := generate.Request{Table: table, Guidance: generate.Guidance{Scale: 1}, Seeds: make([]int64, w.Batch)}
	if err := g.Run(context.Background(), request, func(int, generate.Sample) error { return nil }); err != nil {
		return Step{}, errors.Join(err, free())
	}
	return Step{g.Evaluate, free, s.Plan, g.Launches, s.Sizes().Bytes(), s.Plan.Cost().FLOPs}, nil
}

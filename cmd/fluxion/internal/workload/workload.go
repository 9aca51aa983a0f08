// Package workload is what the benchmarks work on: a training step of a preset's
// network, or an evaluation of it as sampling does it, on a device.
package workload

import (
	"errors"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/plan"
	"fluxion/engine/train"
	"fluxion/kernels/number"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// Options choose a network, its step, and where it runs.
type Options struct {
	Preset, Precision, Device string
	Batch                     int       // images of a step
	Size                      data.Size // of the images; zero: the preset's
	Threads                   int       // 0: all
	Without                   []string
	Recompute, Blockings      string
	Objectives                Objectives
}

// Workload is a network on a device, the options resolved.
type Workload struct {
	Options
	Device      device.Device
	Network     nets.Network
	Activations number.Type // of activations and matrix products
}

// Open checks the options and opens the device. One that learns measures how
// launches are best cut as it runs.
func Open(o Options, learns bool) (*Workload, error) {
	w := &Workload{Options: o}
	var err error
	if w.Network, err = w.Resolve(); err != nil {
		return nil, err
	}
	if w.Device, err = machine.Open(o.Device, o.Threads, o.Blockings, learns); err != nil {
		return nil, err
	}
	if w.Activations, err = device.Precision(o.Precision, w.Device.Target()); err != nil {
		return nil, errors.Join(fault.Usagef("--precision: %w", err), w.Device.Close())
	}
	return w, nil
}

// Close gives the device back.
func (w *Workload) Close() error { return w.Device.Close() }

// Resolve checks the options, chooses the size if it is 0, and returns the network.
func (o *Options) Resolve() (nets.Network, error) {
	if err := plan.CheckFusions(o.Without); err != nil {
		return nil, fault.Usagef("--without: %w", err)
	}
	if o.Recompute != "" {
		if err := plan.CheckRecomputation(o.Recompute); err != nil {
			return nil, fault.Usagef("--recompute: %w", err)
		}
	}
	preset, err := catalog.Preset(o.Preset)
	if err != nil {
		return nil, fault.Usage(err)
	}
	images := preset.Network.Spec()
	if o.Size == (data.Size{}) {
		o.Size = data.Size{Height: images.Height, Width: images.Width}
	}
	objective, err := train.NewObjective(o.Objectives.Settings(), nil)
	if err != nil {
		return nil, err
	}
	return train.Network(o.Preset, objective.Fit(nets.Spec{Height: o.Size.Height, Width: o.Size.Width, Channels: images.Channels}))
}

// Name of the network, for people.
func (o Options) Name() string {
	if name, other := o.Objectives.Name(); other {
		return o.Preset + " with " + name
	}
	return o.Preset
}

// Work names the step.
func Work(training bool) string {
	if training {
		return "train"
	}
	return "sample"
}

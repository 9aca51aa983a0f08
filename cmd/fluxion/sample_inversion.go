package main

import (
	"context"
	"errors"
	"fmt"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// inversion takes images to the noise that a model would make them of: X. Su, J. Song,
// C. Meng, S. Ermon, "Dual Diffusion Implicit Bridges for Image-to-Image Translation"
// (2022). Another model, or the same, then makes images of that noise.
type inversion struct {
	model   *model.Model
	run     samplingRun
	classOf func(n int64) int
}

// readInversion reads the model that images are inverted by, and plans how: by the sampler
// and the grid of sampling, run upwards. A nil m is none.
func (o *sampleOptions) readInversion(of *model.Model, images *imageSet, method sampler.Sampler) (*inversion, error) {
	if o.from == "" {
		return nil, nil
	}
	m, err := model.Read(o.from, o.weights, o.ignore...)
	if err != nil {
		return nil, modelError{o.from, err}
	}
	a, b := m.Network.Spec(), of.Network.Spec()
	switch {
	case a.Height != b.Height || a.Width != b.Width || a.Channels != b.Channels || m.Floats != of.Floats:
		return nil, modelError{o.from, fmt.Errorf("its images of %d×%d pixels and %d channels are not those of %s, of %d×%d and %d", a.Width, a.Height, a.Channels, o.model, b.Width, b.Height, b.Channels)}
	case m.AutoencoderDigest() != of.AutoencoderDigest() || (m.Autoencoder == "") != (of.Autoencoder == ""):
		return nil, modelError{o.from, fmt.Errorf("its images are not latents of the autoencoder of %s, or those are none; want two models of the same latents", o.model)}
	case a.Concat != 0 || b.Concat != 0:
		return nil, fault.Usagef("--from: a network that is given a second image has no noise of an image alone; want models without")
	case !m.Process.Bridge.None():
		return nil, modelError{o.from, fmt.Errorf("it was trained on bridge %v, and an image comes from no one point there; want a model without", m.Process.Bridge)}
	case m.Process.Source.Kind() == process.Images || m.Process.Source.String() != of.Process.Source.String():
		return nil, modelError{o.from, fmt.Errorf("its flow ends in source %v, and that of %s begins with %v; want two models of one noise", m.Process.Source, o.model, of.Process.Source)}
	case m.Few != nil || m.Jumps != "":
		return nil, modelError{o.from, errors.New("it was trained for few steps, and does not say where the flow leads upwards; want the model that taught it")}
	case m.Labels != nil:
		return nil, modelError{o.from, errors.New("it is told numbers of each image, which those to be inverted come without; want a model of classes, or of none")}
	case o.scheduler != "":
		return nil, fault.Usagef("--from: a scheduler of diffusers is not run upwards here; want --sampler")
	}
	v := &inversion{model: m}
	p, err := o.along(m.Process)
	if err != nil {
		return nil, fault.Usage(err)
	}
	options := o.config.Options
	options.Invert = true
	if v.run, err = planSampling(method, p, options); err != nil {
		return nil, fault.Usagef("--from: %w", err)
	}
	v.classOf = func(int64) int { return 0 }
	if a.Conditional() {
		v.classOf, err = images.classes(m)
	}
	return v, err
}

// noise makes ready what gives the noise of images, a batch at a time.
func (o *sampleOptions) noise(ctx context.Context, dev device.Device, j job, seeds []int64, batch int) (of func(i int) ([]float32, error), free func() error, err error) {
	v := j.from
	step, err := generate.NewStep(generate.Options{
		Network: v.model.Network, Height: j.size[0], Width: j.size[1], Batch: batch, Slots: v.run.slots, Calls: len(v.run.table.Rows),
		Target: dev.Target(), Precision: j.precision, Prepare: true,
	})
	if err != nil {
		return nil, nil, err
	}
	generator, free, err := machine.Load(dev, step, func(memory device.Memory) error { return memory.Write(step.Weights, 0, v.model.Weights) })
	if err != nil {
		return nil, nil, err
	}
	size, first := j.size[0]*j.size[1]*j.size[2], -1
	made, x := make([]float32, batch*size), make([]float32, size)
	return func(i int) ([]float32, error) {
		if first < 0 || i < first || i >= first+batch {
			first = i / batch * batch
			some := seeds[first:min(first+batch, len(seeds))]
			r := generate.Request{Table: v.run.table, Adaptive: v.run.adaptive, Seed: o.seed, Seeds: some, Guidance: generate.Guidance{Scale: 1}, NullClass: v.model.Network.Spec().Classes - 1}
			for _, n := range some {
				r.Classes = append(r.Classes, v.classOf(n))
			}
			r.Begin = func(i int, alpha, _ float64, z []float32) error { return j.images.add(some[i], alpha, x, z) }
			err := generator.Run(ctx, r, func(i int, s generate.Sample) error {
				copy(made[i*size:], s.Values)
				return nil
			})
			if err != nil {
				first = -1
				return nil, err
			}
		}
		return made[(i-first)*size:][:size], nil
	}, free, nil
}

// add adds a multiple of image n to a state; x is room for it.
func (s *imageSet) add(n int64, alpha float64, x, z []float32) error {
	err := s.values(n, x)
	for k := range z {
		z[k] += float32(alpha) * x[k]
	}
	return err
}

// begins is how samples begin with images: with their noise, or with them, as far from
// noise as --strength has it.
func (o *sampleOptions) begins(ctx context.Context, dev device.Device, j job, seeds []int64, batch int) (begin func(i int, alpha, sigma float64, z []float32) error, free func() error, err error) {
	if j.from == nil {
		x := make([]float32, j.size[0]*j.size[1]*j.size[2])
		return func(i int, alpha, _ float64, z []float32) error { return j.images.add(seeds[i], alpha, x, z) }, func() error { return nil }, nil
	}
	noise, free, err := o.noise(ctx, dev, j, seeds, batch)
	return func(i int, _, sigma float64, z []float32) error {
		of, err := noise(i)
		for k := range of {
			z[k] = float32(sigma) * of[k]
		}
		return err
	}, free, err
}

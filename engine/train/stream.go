package train

import (
	"context"
	"errors"

	"fluxion/data"
	"fluxion/data/affine"
	"fluxion/engine/noise"
	"fluxion/kernels/philox"
)

// openStream opens the images from a position on; a data set that is to lie on the
// device is brought there.
func (r *run) openStream(ctx context.Context, from int64) (data.Stream, error) {
	r.brought = brought{}
	n := r.trainer.Accumulate
	first, end := r.group.Share(n)
	o := data.LoaderOptions{
		Step: n, First: first, End: end, Batch: r.trainer.Batch, Seed: r.settings.Seed, Draw: r.settings.draw(r.data), Flip: r.settings.Flip, SkipBroken: r.settings.SkipBroken, Start: from, Ahead: r.ahead(),
	}
	if a := r.augment; a != nil { // which mirrors, too
		o.Flip, o.Augment = false, func(at int64) affine.Transform { t, _ := a.Draw(at); return t }
	}
	if r.coupling == nil {
		return r.images(ctx, o)
	}
	o.First, o.End = 0, n // every process pairs the whole step
	stream, err := r.images(ctx, o)
	if err != nil {
		return nil, err
	}
	height, width, channels := r.data.Shape()
	seed := r.trainer.noise().Seed
	c := coupled{
		stream: stream, coupling: r.coupling, batches: n, first: first, end: end, size: data.ValuesOf(r.data), seed: seed, left: (r.settings.Images - from + int64(r.settings.Batch) - 1) / int64(r.settings.Batch),
		draw:   noise.Draw(r.objective.Process().Source, height, width, channels, seed, philox.Noise),
		inputs: r.settings.beginsWithInputs(),
		tell:   func(short error) { r.warn("coupling %v: %v", r.coupling, short) },
	}
	if r.pairing != nil {
		c.multiply = r.pairing.multiply
	}
	return newCoupled(c), nil
}

// images is the stream of what the data set holds.
func (r *run) images(ctx context.Context, o data.LoaderOptions) (data.Stream, error) {
	var stream data.Stream
	var err error
	if r.trainer.Resident == 0 {
		stream, err = data.NewLoader(r.data, o)
	} else {
		stream, err = data.NewResident(ctx, r.data, o, func(first int, images, inputs data.Pixels) error {
			return errors.Join(r.write(r.trainer.images, first, images), r.write(r.trainer.inputs, first, inputs))
		})
	}
	if err != nil { // then the stream is no nil to whoever closes it
		return nil, err
	}
	return stream, nil
}

// write brings images of the data set to the device.
func (r *run) write(to *pixels, first int, images data.Pixels) error {
	switch {
	case images.Len() == 0:
		return nil
	case images.Floats != nil:
		return r.memory.Write(to.resident, first*to.Values(), images.Floats)
	}
	return r.memory.WriteBytes(to.resident, first*to.Values(), images.Bytes)
}

// ahead is how many batches are decoded before they are asked for: where steps are paired
// as a whole, all of one while those of two others are lent.
func (r *run) ahead() int {
	if r.coupling != nil {
		return 3*r.settings.Accumulate + 1
	}
	return data.Batches - 1
}

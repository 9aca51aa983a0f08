package train

import (
	"context"

	"fluxion/data"
	"fluxion/kernels/philox"
)

// openStream opens the images from a position on; a data set that is to lie on the
// device is brought there.
func (r *run) openStream(ctx context.Context, from int64) (data.Stream, error) {
	first, end := r.group.Share(r.trainer.Accumulate)
	o := data.LoaderOptions{
		Step: r.trainer.Accumulate, First: first, End: end, Batch: r.trainer.Batch, Seed: r.settings.Seed, Flip: r.settings.Flip, SkipBroken: r.settings.SkipBroken, Start: from,
	}
	if o.Ahead = r.ahead(); r.coupling != nil {
		loader, err := data.NewLoader(r.data, o)
		if err != nil {
			return nil, err
		}
		noise := r.trainer.noise()
		draw := func(address int64, to []float32) {
			philox.NormalAt(to, 0, noise.Seed, philox.Noise, uint64(address), 0)
		}
		return &coupled{Stream: loader, coupling: r.coupling, draw: draw, batches: r.trainer.Accumulate, size: data.ValuesOf(r.data)}, nil
	}
	if r.trainer.Resident == 0 {
		return data.NewLoader(r.data, o)
	}
	values := data.ValuesOf(r.data)
	return data.NewResident(ctx, r.data, o, func(first int, pixels data.Pixels) error {
		if pixels.Floats != nil {
			return r.memory.Write(r.trainer.Buffers.Images, first*values, pixels.Floats)
		}
		return r.memory.WriteBytes(r.trainer.Buffers.Images, first*values, pixels.Bytes)
	})
}

// ahead is how many batches are decoded before they are asked for: of a step that is
// paired as a whole, all while those of another are lent.
func (r *run) ahead() int {
	if r.coupling != nil {
		return 2*r.settings.Accumulate + 1
	}
	return data.Batches - 1
}

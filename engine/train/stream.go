package train

import (
	"context"

	"fluxion/data"
)

// openStream opens the images from a position on; a data set that is to lie on the
// device is brought there.
func (r *run) openStream(ctx context.Context, from int64) (data.Stream, error) {
	first, end := r.group.Share(r.trainer.Accumulate)
	o := data.LoaderOptions{
		Step: r.trainer.Accumulate, First: first, End: end, Batch: r.trainer.Batch, Seed: r.settings.Seed, Flip: r.settings.Flip, SkipBroken: r.settings.SkipBroken, Start: from,
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

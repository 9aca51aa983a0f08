package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/device"
	"fluxion/engine/evaluate"
	"fluxion/engine/metric"
	"fluxion/engine/plan"
)

// nearestShown is how many pairs a sheet of nearest images has.
const nearestShown = 50

// remembered is a source whose images are kept, for a sheet of them.
type remembered struct {
	source
	size   [3]int
	pixels []byte
}

func (r *remembered) Each(ctx context.Context, visit func(evaluate.Image) error) error {
	return r.source.Each(ctx, func(i evaluate.Image) error {
		if r.pixels == nil {
			r.size = [3]int{i.Height, i.Width, i.Channels}
			if err := device.CheckMemory(device.Need{What: "the images of a sheet", Bytes: plan.Product(r.Len(), len(i.Pixels))}); err != nil {
				return err
			}
		}
		r.pixels = append(r.pixels, i.Pixels...)
		return visit(i)
	})
}

// image is the pixels of one.
func (r *remembered) image(i int) []byte {
	n := r.size[0] * r.size[1] * r.size[2]
	return r.pixels[i*n:][:n]
}

// pair is a sample and the real image that is most like it.
type pair struct {
	Sample   int     `json:"sample"`
	Real     int     `json:"real"`
	Distance float64 `json:"distance"` // of their features
}

// closest are the pairs nearest to each other, and the sheet of them: sample and real
// image side by side, the most alike first.
func (j *judging) closest(sets [2]*evaluate.Set) ([]pair, error) {
	a, b := j.kept[0], j.kept[1]
	if a == nil || b == nil {
		return nil, fault.Usagef("--nearest %s: want images on both sides, not statistics", j.nearest)
	}
	if a.size != b.size {
		return nil, fault.Usagef("--nearest %s: images of %d×%d×%d beside %d×%d×%d; want one size, by --size", j.nearest, a.size[0], a.size[1], a.size[2], b.size[0], b.size[1], b.size[2])
	}
	matches, err := metric.Nearest(sets[0].Features, sets[1].Features)
	if err != nil {
		return nil, fault.Usage(err)
	}
	pairs := make([]pair, len(matches))
	for i, m := range matches {
		pairs[i] = pair{i, m.Index, m.Distance}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.Distance, b.Distance) })
	pairs = pairs[:min(len(pairs), nearestShown)]
	var pixels []byte
	for _, p := range pairs {
		pixels = append(append(pixels, a.image(p.Sample)...), b.image(p.Real)...)
	}
	const columns = 10
	file, err := data.EncodeGrid(pixels, 2*len(pairs), a.size[0], a.size[1], a.size[2], columns)
	if err != nil {
		return nil, fmt.Errorf("the sheet cannot be encoded: %w", err)
	}
	var disk durable.Disk
	if err := disk.MkdirAll(filepath.Dir(j.nearest)); err != nil {
		return nil, fault.Output(err)
	}
	return pairs, fault.Output(disk.WriteFile(j.nearest, file))
}

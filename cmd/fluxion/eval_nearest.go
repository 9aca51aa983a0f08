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
	pixels []byte
}

func (r *remembered) Each(ctx context.Context, visit func(evaluate.Image) error) error {
	return r.source.Each(ctx, func(i evaluate.Image) error {
		if r.pixels == nil {
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
	size := r.size()
	n := size[0] * size[1] * size[2]
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
	a, b := j.sides[0].kept, j.sides[1].kept
	if a == nil || b == nil {
		return nil, fault.Usagef("--nearest %s: want images on both sides, not statistics", j.nearest)
	}
	size := a.size()
	if size != b.size() {
		return nil, fault.Usagef("--nearest %s: images of %s beside %s; want one size, by --size", j.nearest, sizeText(size), sizeText(b.size()))
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
	file, err := data.EncodeGrid(pixels, 2*len(pairs), size[0], size[1], size[2], columns)
	if err != nil {
		return nil, fmt.Errorf("the sheet cannot be encoded: %w", err)
	}
	var disk durable.Disk
	if err := disk.MkdirAll(filepath.Dir(j.nearest)); err != nil {
		return nil, fault.Output(err)
	}
	return pairs, fault.Output(disk.WriteFile(j.nearest, file))
}

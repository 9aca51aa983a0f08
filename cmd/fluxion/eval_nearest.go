package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/outdir"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/stable"
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
	images []data.Tile
}

func (r *remembered) Each(ctx context.Context, visit func(evaluate.Image) error) error {
	return r.source.Each(ctx, func(i evaluate.Image) error {
		if r.images == nil {
			if err := device.CheckMemory(device.Need{What: "the images of a sheet", Bytes: plan.Product(r.Len(), len(i.Pixels))}); err != nil {
				return err
			}
		}
		r.images = append(r.images, data.Tile{Pixels: data.Pixels{Bytes: slices.Clone(i.Pixels)}, Size: data.Size{Height: i.Height, Width: i.Width}, Channels: i.Channels})
		return visit(i)
	})
}

// pair is a sample and the real image that is most like it.
type pair struct {
	Sample   int     `json:"sample"`
	Real     int     `json:"real"`
	Distance float64 `json:"distance"` // of their features
}

// shownCopies is how many samples are near copies.
type shownCopies struct {
	Share    float64 `json:"share"`
	Distance float64 `json:"distance"` // below which a sample is one
	Expected float64 `json:"expected"` // the share among new images
}

// closest are the pairs nearest to each other, and the sheet of them: sample and real
// image side by side, the most alike first. Beside it, how many samples are near copies.
func (j *judging) closest(sets [2]*evaluate.Set) ([]pair, *shownCopies, error) {
	a, b := j.sides[0].kept, j.sides[1].kept
	matches, err := metric.Nearest(sets[0].Features, sets[1].Features)
	if err != nil {
		return nil, nil, fault.Usage(err)
	}
	var copies *shownCopies
	if sets[1].N > 1 {
		c, err := metric.NearCopies(matches, sets[1].Features, j.copyQuantile)
		if err != nil {
			return nil, nil, fault.Usage(err)
		}
		copies = &shownCopies{c.Share, c.Distance, j.copyQuantile}
	}
	pairs := make([]pair, len(matches))
	for i, m := range matches {
		pairs[i] = pair{i, m.Index, m.Distance}
	}
	stable.Sort(pairs, func(a, b pair) int { return cmp.Compare(a.Distance, b.Distance) })
	pairs = pairs[:min(len(pairs), nearestShown)]
	var tiles []data.Tile
	for _, p := range pairs {
		tiles = append(tiles, a.images[p.Sample], b.images[p.Real])
	}
	const columns = 10
	file, err := data.EncodeTiles(tiles, columns, sheetText)
	if err != nil {
		return nil, nil, fmt.Errorf("the sheet cannot be encoded: %w", err)
	}
	return pairs, copies, fault.Output(durable.Disk{}.WriteFile(j.nearest, file))
}

// sheetText is what a sheet holds as text, so that another one may take its place.
var sheetText = map[string]string{"fluxion": "nearest images"}

// roomForSheet says whether a sheet with some text can be written to a path that a flag
// gives: no picture but another such sheet is there.
func roomForSheet(flag, path string, text map[string]string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Stat(path); err == nil {
		there, err := data.InspectPNG(path)
		if err != nil || there.Text["fluxion"] != text["fluxion"] {
			return fault.Usagef("%s %s is there and is no such sheet; want another name", flag, path)
		}
	}
	return outdir.Room(flag, path)
}

package metric

import (
	"math"
	"slices"
)

// Copies says how many samples are near copies of real images.
type Copies struct {
	Share    float64 // of the samples
	Distance float64 // below which a sample is a near copy
}

// NearCopies counts the samples that lie nearer to a real image than all but a share of
// the real images do to another. So many of new images of the same kind would, too: of
// more, the samples are copies. Matches are those of Nearest; the distance is taken of as
// many real images as there are samples, evenly spaced, of 1,000 at least.
func NearCopies(matches []Match, real Features, share float64) (c Copies, err error) {
	n := real.Len()
	if n < 2 {
		return c, &CountError{"the share of near copies", n, 2}
	}
	few := Features{Dim: real.Dim}
	at := make([]int, min(n, max(len(matches), 1000)))
	for i := range at {
		at[i] = int(int64(i) * int64(n) / int64(len(at)))
		few.Append(real.Row(at[i]))
	}
	least := slices.Repeat([]float64{math.Inf(1)}, len(at))
	distances(few, real, func(i, h, j, w int, d []float64) {
		for k := range h {
			for l, v := range d[k*tile:][:w] {
				if j+l != at[i+k] {
					least[i+k] = min(least[i+k], v)
				}
			}
		}
	})
	slices.Sort(least)
	c.Distance = math.Sqrt(least[min(int(share*float64(len(least))), len(least)-1)])
	nearer := 0
	for _, m := range matches {
		if m.Distance < c.Distance {
			nearer++
		}
	}
	c.Share = float64(nearer) / float64(len(matches))
	return c, nil
}

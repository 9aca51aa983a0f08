package cuda

import (
	"math"
	"slices"
	"testing"
)

// The busiest processor is that of a walk through the blocks, each taken by who is idle first.
func TestBusiest(t *testing.T) {
	for _, processors := range []int{1, 3, 7} {
		for whole := range 20 {
			for _, parts := range []int{0, 2, 3, 5} {
				for tiles := range 9 {
					s := Split{Whole: whole, Parts: parts, Work: 1 / float64(max(1, parts))}
					blocks := whole + tiles*parts
					busy := make([]float64, processors)
					for i := range blocks {
						at := slices.Index(busy, slices.Min(busy))
						if busy[at]++; i >= whole {
							busy[at] += s.Work - 1
						}
						busy[at] = math.Round(busy[at]*30) / 30 // equal is equal
					}
					if got, want := s.Busiest(blocks, processors), slices.Max(busy); math.Abs(got-want) > 1e-9 {
						t.Errorf("%d processors, %d blocks, %d parts of %d: %g, want %g", processors, whole, tiles, parts, got, want)
					}
				}
			}
		}
	}
}

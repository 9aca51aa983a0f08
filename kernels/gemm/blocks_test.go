package gemm

import (
	"slices"
	"testing"
)

// TestEvenBlocks: threads that take the next task in turn end within an eighth of each other,
// or a few tiles where there are few.
func TestEvenBlocks(t *testing.T) {
	const most = 32
	for _, threads := range []int{1, 2, 3, 4, 8} {
		for _, groups := range []int{1, 2, 3} {
			for tiles := 1; tiles < 3000; tiles += 7 {
				block := evenBlock(tiles, groups, threads, most)
				if block < 1 || block > most {
					t.Fatalf("%d tiles in %d groups on %d threads: %d to a task", tiles, groups, threads, block)
				}
				busy := make([]int, threads)
				for range groups {
					for first := 0; first < tiles; first += block {
						i := slices.Index(busy, slices.Min(busy))
						busy[i] += min(block, tiles-first)
					}
				}
				longest, even := slices.Max(busy), ceil(tiles*groups, threads)
				if longest > even+even/8+2 {
					t.Errorf("%d tiles in %d groups on %d threads, %d to a task: the last thread ends after %d instead of %d", tiles, groups, threads, block, longest, even)
				}
			}
		}
	}
}

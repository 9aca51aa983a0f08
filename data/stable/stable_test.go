package stable

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSort: the order is that of slices.SortStableFunc, for every length up to a hundred and with many that are equal.
func TestSort(t *testing.T) {
	type pair struct{ key, place int }
	by := func(a, b pair) int { return cmp.Compare(a.key, b.key) }
	draws := rand.New(rand.NewPCG(1, 2))
	for n := range 100 {
		got := make([]pair, n)
		for i := range got {
			got[i] = pair{draws.IntN(1 + n/3), i}
		}
		want := slices.Clone(got)
		Sort(got, by)
		slices.SortStableFunc(want, by)
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

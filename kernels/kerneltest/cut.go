package kerneltest

import (
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
)

// checkCuts runs a launch again with every other tile size that there is, and beyond
// what there is: it must write the same bits, and nothing else.
func checkCuts(t *testing.T, pool *cpu.Pool, run func(*cpu.Pool), l kernels.Launch, read func(*testing.T, kernels.Operand) []float64) {
	t.Helper()
	want := read(t, l.Out)
	others := l.Cut.Others()
	if len(others) > 0 {
		others = append(others, kernels.TileSize{Rows: 1, Columns: 1}, kernels.TileSize{Rows: 1 << 20, Columns: 1 << 20})
	}
	blank := poisoned(len(l.Scratch))
	for _, b := range others {
		erase(l.Out)
		copy(l.Scratch, blank)
		l.Cut.TileSize = b
		run(pool)
		if !slices.Equal(read(t, l.Out), want) {
			t.Errorf("%d threads, %+v instead of %+v: other bits", l.Threads, b, l.Cut.Usual())
		}
	}
	l.Cut.TileSize = kernels.TileSize{}
}

// erase writes zeros to an operand, and leaves what is around it.
func erase(o kernels.Operand) {
	for r := range o.Rows {
		for c := range o.Cols {
			if at := r*o.Pitch + c; o.Data != nil {
				o.Data[at] = 0
			} else {
				o.BF16[at] = 0
			}
		}
	}
}

package conv

import (
	"fmt"
	"testing"

	"fluxion/kernels/cpu/amx/amxtest"
	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
)

// TestHalf has more rows than a block, more channels than a group or a panel, and
// an odd number of each.
func TestHalf(t *testing.T) {
	in := []kerneltest.Input{kerneltest.Shape(3, 11, 9, 53), kerneltest.Shape(3, 3, 53, 67), kerneltest.Shape(67)}
	for _, o := range []Options{Same(3), {Stride: 2, PadBottom: 1, PadRight: 1}} {
		kerneltest.CheckHalf(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], o) })
	}
}

// TestWinogradHalf has more positions than a block or a chunk, a chunk that is
// not full, images of one column, and too few channels for a transform.
func TestWinogradHalf(t *testing.T) {
	for _, c := range []struct{ n, h, w, cin, cout int }{{3, 22, 32, 32, 80}, {5, 15, 27, 33, 65}, {33, 4, 1, 40, 70}, {2, 6, 5, 31, 66}} {
		in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, c.cin), kerneltest.Shape(3, 3, c.cin, c.cout), kerneltest.Shape(c.cout)}
		kerneltest.CheckHalf(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], Same(3)) })
	}
}

// TestTiles has whole tiles of rows and columns, and parts of them, rows that lie at
// one pitch, and do not, and more of them than are summed at a time.
func TestTiles(t *testing.T) {
	for _, c := range []struct {
		n, h, w, cin, cout, side int
		o                        Options
	}{
		{1, 2, 32, 64, 32, 3, Same(3)},
		{2, 5, 7, 33, 50, 3, Same(3)},
		{2, 6, 5, 3, 17, 3, Options{Stride: 2, PadBottom: 1, PadRight: 1}},
		{2, 18, 16, 70, 49, 1, Same(1)},
	} {
		in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, c.cin), kerneltest.Shape(c.side, c.side, c.cin, c.cout), kerneltest.Shape(c.cout)}
		kerneltest.CheckHalf(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], c.o) })
	}
}

// TestAMX is TestTiles on tiles, where need be on emulated ones.
func TestAMX(t *testing.T) { amxtest.Run(t, "^TestTiles$/^amx$") }

func TestConv2D(t *testing.T) {
	asymmetric := Options{Stride: 2, PadBottom: 1, PadRight: 1}
	for _, c := range []struct {
		n, h, w, cin, cout, side int
		o                        Options
	}{
		{1, 4, 4, 3, 5, 3, Same(3)},
		{2, 5, 3, 4, 17, 3, Same(3)},
		{2, 4, 6, 7, 16, 1, Same(1)},
		{2, 6, 6, 5, 3, 3, Options{Stride: 2, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}},
		{1, 6, 6, 3, 8, 3, asymmetric},
		{3, 3, 3, 2, 70, 3, Same(3)},
		// Winograd's, with squares that hang over the edge.
		{1, 2, 3, 16, 16, 3, Same(3)},
		{2, 3, 2, 17, 16, 3, Same(3)},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, c.cin), kerneltest.Shape(c.side, c.side, c.cin, c.cout), kerneltest.Shape(c.cout)}
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], c.o) })
		})
	}
}

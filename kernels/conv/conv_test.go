package conv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu/amx/amxtest"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/resample"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestBF16 has more rows than a block, more channels than a group or a panel, and
// an odd number of each.
func TestBF16(t *testing.T) {
	in := []kerneltest.Input{kerneltest.Shape(3, 11, 9, 53), kerneltest.Shape(3, 3, 53, 67), kerneltest.Shape(67)}
	for _, o := range []Options{Same(3), {Stride: 2, PadBottom: 1, PadRight: 1}} {
		kerneltest.CheckBF16(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], o) })
	}
}

// TestStrideBF16 has gradients of inputs as wide as two panels and a vector, and as a
// panel and some columns, of images of an odd and an even side.
func TestStrideBF16(t *testing.T) {
	for _, cin := range []int{144, 67} {
		in := []kerneltest.Input{kerneltest.Shape(2, 7, 6, cin), kerneltest.Shape(3, 3, cin, 9), kerneltest.Shape(9)}
		for _, o := range []Options{{Stride: 2, PadBottom: 1, PadRight: 1}, {Stride: 3, PadTop: 2}} {
			kerneltest.CheckBF16(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], o) })
		}
	}
}

// TestWinogradBF16 has more positions than a block or a chunk, a chunk that is
// not full, images of one column, and too few channels for a transform.
func TestWinogradBF16(t *testing.T) {
	cases := []struct{ n, h, w, cin, cout int }{{2, 6, 5, 31, 66}, {33, 4, 1, 40, 70}, {3, 22, 32, 32, 80}, {5, 15, 27, 33, 65}}
	if testing.Short() {
		cases = cases[:2]
	}
	for _, c := range cases {
		in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, c.cin), kerneltest.Shape(3, 3, c.cin, c.cout), kerneltest.Shape(c.cout)}
		kerneltest.CheckBF16(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], Same(3)) })
	}
}

// TestTiles has whole tiles of rows and columns, and parts of them, rows that lie at
// one pitch, and do not, and more of them than are summed at a time.
func TestTiles(t *testing.T) {
	cases := []struct {
		n, h, w, cin, cout, side int
		o                        Options
	}{
		{2, 6, 5, 3, 17, 3, Options{Stride: 2, PadBottom: 1, PadRight: 1}},
		{2, 5, 3, 33, 50, 3, upsampling},
		{1, 2, 32, 64, 32, 3, Same(3)},
		{2, 5, 7, 33, 50, 3, Same(3)},
		{2, 18, 16, 70, 49, 1, Same(1)},
		{1, 28, 14, 3, 17, 14, Options{Stride: 14}}, // patches
	}
	if testing.Short() {
		cases = cases[1:2]
		cases[0].n = 1
	}
	for _, c := range cases {
		in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, c.cin), kerneltest.Shape(c.side, c.side, c.cin, c.cout), kerneltest.Shape(c.cout)}
		kerneltest.CheckBF16(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], c.o) })
	}
}

// TestAMX is TestTiles on tiles, where need be on emulated ones.
func TestAMX(t *testing.T) { amxtest.Run(t, "^TestTiles$/^amx$") }

var upsampling = Options{Stride: 1, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1, upsampled: true}

// TestUpsampledKernels has Winograd's squares and plain products, images of one pixel,
// more squares than a block and more channels than a panel.
func TestUpsampledKernels(t *testing.T) {
	cases := []struct{ n, h, w, cin, cout int }{{2, 3, 2, 17, 16}, {1, 1, 1, 16, 18}, {2, 2, 3, 5, 17}, {1, 4, 3, 32, 72}, {3, 7, 9, 33, 70}}
	if testing.Short() {
		cases = cases[:3]
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, c.cin), kerneltest.Shape(3, 3, c.cin, c.cout), kerneltest.Shape(c.cout)}
			kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], upsampling) })
		})
	}
}

// TestUpsampledBF16 has more squares than a block or a chunk, a chunk that is not full,
// images of one column, and too few channels for a transform.
func TestUpsampledBF16(t *testing.T) {
	cases := []struct{ n, h, w, cin, cout int }{{2, 6, 5, 31, 66}, {33, 2, 1, 40, 70}, {3, 11, 16, 32, 80}, {4, 11, 13, 33, 65}}
	if testing.Short() {
		cases = cases[:2]
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, c.cin), kerneltest.Shape(3, 3, c.cin, c.cout), kerneltest.Shape(c.cout)}
			kerneltest.CheckBF16(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], upsampling) })
		})
	}
}

// TestUpsampled: the operators that a plan makes are the convolution of the enlarged
// image and its gradients, in float64, and no others are made of anything else.
func TestUpsampled(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(shape ...int) kernels.Array {
		a := kernels.NewArray(shape...)
		for i := range a.Data {
			a.Data[i] = rng.NormFloat64()
		}
		return a
	}
	x, w, b, dy := random(2, 3, 5, 4), random(3, 3, 4, 6), random(6), random(2, 6, 10, 6)
	g := gorgonia.NewGraph()
	node := func(name string, a kernels.Array) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float64, len(a.Shape), gorgonia.WithShape(a.Shape...), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(a.Shape...), tensor.WithBacking(slices.Clone(a.Data)))))
	}
	nx, nw, nb, ndy := node("x", x), node("w", w), node("b", b), node("dy", dy)
	large := resample.Upsample(nx)
	y := Conv2D(large, nw, nb, Same(3))
	grads, err := gorgonia.Backpropagate(gorgonia.Nodes{y}, gorgonia.Nodes{ndy}, gorgonia.Nodes{nx, nw})
	if err != nil {
		t.Fatal(err)
	}
	m := gorgonia.NewTapeMachine(g)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	inputs := []tensor.Shape{large.Shape(), w.Shape, b.Shape}
	forward := y.Op().(kernels.Absorber).Absorbs(0, large.Op().(kernels.Kernel), inputs)
	weights := grads[1].Op().(kernels.Absorber).Absorbs(0, large.Op().(kernels.Kernel), []tensor.Shape{large.Shape(), dy.Shape})
	before := newInputGrad(Same(3), large.Shape())
	input := before.Finishes(grads[0].Op().(kernels.Kernel), []tensor.Shape{dy.Shape, w.Shape})
	for _, c := range []struct {
		kernel kernels.Kernel
		in     []kernels.Array
		want   gorgonia.Value
	}{
		{forward, []kernels.Array{x, w, b}, y.Value()},
		{weights, []kernels.Array{x, dy}, grads[1].Value()},
		{input, []kernels.Array{dy, w}, grads[0].Value()},
	} {
		var in []gorgonia.Value
		for _, a := range c.in {
			in = append(in, tensor.New(tensor.WithShape(a.Shape...), tensor.WithBacking(a.Data)))
		}
		got, err := c.kernel.(gorgonia.Op).Do(in...)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want.Data().([]float64) {
			if e := got.Data().([]float64)[i] - want; !(math.Abs(e) < 1e-12) {
				t.Fatalf("%v: element %d is off by %g", c.kernel, i, e)
			}
		}
	}
	even := gorgonia.NewTensor(g, tensor.Float64, 4, gorgonia.WithShape(2, 4, 6, 4), gorgonia.WithName("even"))
	pool := resample.AvgPool(even).Op().(kernels.Kernel)
	for _, other := range []kernels.Kernel{
		newForward(Same(3), w.Shape).Absorbs(1, large.Op().(kernels.Kernel), inputs),
		newForward(Same(3), w.Shape).Absorbs(0, pool, inputs),
		newForward(Options{Stride: 2}, w.Shape).Absorbs(0, large.Op().(kernels.Kernel), inputs),
		newForward(Same(1), tensor.Shape{1, 1, 4, 6}).Absorbs(0, large.Op().(kernels.Kernel), []tensor.Shape{large.Shape(), {1, 1, 4, 6}, b.Shape}),
		newForward(upsampling, w.Shape).Absorbs(0, large.Op().(kernels.Kernel), inputs),
		before.Finishes(pool, []tensor.Shape{dy.Shape, w.Shape}),
	} {
		if other != nil {
			t.Errorf("%v was made", other)
		}
	}
}

func TestConv2D(t *testing.T) {
	asymmetric := Options{Stride: 2, PadBottom: 1, PadRight: 1}
	cases := []struct {
		n, h, w, cin, cout, side int
		o                        Options
	}{
		{1, 4, 4, 3, 5, 3, Same(3)},
		{2, 4, 6, 7, 16, 1, Same(1)},
		{1, 6, 6, 3, 8, 3, asymmetric},
		{2, 2, 3, 3, 5, 3, upsampling},
		{2, 5, 3, 4, 17, 3, Same(3)},
		{2, 6, 6, 5, 3, 3, Options{Stride: 2, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}},
		{3, 3, 3, 2, 70, 3, Same(3)},
		// Winograd's, with squares that hang over the edge.
		{1, 2, 3, 16, 16, 3, Same(3)},
		{2, 3, 2, 17, 16, 3, Same(3)},
	}
	if testing.Short() {
		cases = cases[:4]
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, c.cin), kerneltest.Shape(c.side, c.side, c.cin, c.cout), kerneltest.Shape(c.cout)}
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], c.o) })
		})
	}
}

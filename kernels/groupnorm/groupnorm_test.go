package groupnorm

import (
	"fmt"
	"math"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestGroupNorm(t *testing.T) {
	for _, c := range []struct {
		n, h, w, channels int
		o                 Options
	}{
		{2, 3, 4, 6, Options{3, 1e-5, true}},
		{1, 5, 7, 8, Options{2, 1e-6, false}},
		{2, 2, 3, 34, Options{17, 1e-5, true}},
	} {
		x, vector := kerneltest.Shape(c.n, c.h, c.w, c.channels), kerneltest.Shape(c.channels)
		t.Run(fmt.Sprint("plain", c), func(t *testing.T) {
			kerneltest.Check(t, []kerneltest.Input{x, vector, vector}, func(in []*gorgonia.Node) *gorgonia.Node {
				return GroupNorm(in[0], in[1], in[2], c.o)
			})
		})
		t.Run(fmt.Sprint("scaleshift", c), func(t *testing.T) {
			in := []kerneltest.Input{x, vector, vector, kerneltest.Shape(c.n, 2*c.channels)}
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node {
				return GroupNormScaleShift(in[0], in[1], in[2], in[3], c.o)
			})
		})
	}
}

// Shapes for the vectors, tiles and cuts of the CUDA kernels: several tiles of
// columns, groups that vectors do not fit, groups wider than a tile, several
// parts of an image, several images in a block.
func TestWideGroupNorm(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, c := range []struct {
		n, h, w, channels int
		o                 Options
	}{
		{2, 9, 8, 128, Options{32, 1e-5, true}},
		{1, 20, 19, 24, Options{2, 1e-6, true}},
		{9, 3, 4, 64, Options{4, 1e-5, false}},
		{2, 5, 4, 320, Options{1, 1e-5, true}},
		{1, 4, 4, 672, Options{24, 1e-5, true}},
		{37, 1, 1, 384, Options{1, 1e-6, false}}, // layer norm of tokens
	} {
		x, vector := kerneltest.Shape(c.n, c.h, c.w, c.channels), kerneltest.Shape(c.channels)
		in := []kerneltest.Input{x, vector, vector, kerneltest.Shape(c.n, 2*c.channels)}
		t.Run(fmt.Sprint("plain", c), func(t *testing.T) {
			kerneltest.CheckKernels(t, in[:3], func(in []*gorgonia.Node) *gorgonia.Node {
				return GroupNorm(in[0], in[1], in[2], c.o)
			})
		})
		t.Run(fmt.Sprint("scaleshift", c), func(t *testing.T) {
			kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node {
				return GroupNormScaleShift(in[0], in[1], in[2], in[3], c.o)
			})
		})
	}
}

// The mean of the values is a thousand times their deviation.
func TestStatsOfLargeMean(t *testing.T) {
	x := kerneltest.Shape(2, 9, 8, 16)
	x.Inert = true
	for i := range 2 * 9 * 8 * 16 {
		x.Fixed = append(x.Fixed, 1000+math.Sin(float64(i*i)))
	}
	kerneltest.CheckKernels(t, []kerneltest.Input{x}, func(in []*gorgonia.Node) *gorgonia.Node {
		return stats(in[0], Options{Groups: 2, Epsilon: 1e-5})
	})
}

// Shapes of preset cifar, in smaller batches.
func TestTraffic(t *testing.T) {
	cases := []struct{ n, size, channels int }{{12, 4, 256}, {3, 8, 512}, {2, 16, 256}, {1, 32, 384}, {2, 32, 128}}
	if testing.Short() {
		cases = cases[:2]
	}
	for _, c := range cases {
		x, vector := kerneltest.Shape(c.n, c.size, c.size, c.channels), kerneltest.Shape(c.channels)
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			in := []kerneltest.Input{x, vector, vector, kerneltest.Shape(c.n, 2*c.channels)}
			kerneltest.CheckTraffic(t, in, func(in []*gorgonia.Node) *gorgonia.Node {
				return GroupNormScaleShift(in[0], in[1], in[2], in[3], Options{32, 1e-6, true})
			})
		})
	}
}

// TestManyImages: a batch of more images than a grid is high can be launched.
func TestManyImages(t *testing.T) {
	g := gorgonia.NewGraph()
	node := func(shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(fmt.Sprint(shape, len(g.AllNodes()))))
	}
	in := gorgonia.Nodes{node(kerneltest.Many, 2, 2, 8), node(8), node(8), node(kerneltest.Many, 16)}
	y := GroupNormScaleShift(in[0], in[1], in[2], in[3], Options{2, 1e-5, true})
	if _, err := gorgonia.Backpropagate(gorgonia.Nodes{y}, gorgonia.Nodes{node(y.Shape()...)}, in); err != nil {
		t.Fatal(err)
	}
	kerneltest.CheckGrids(t, g)
}

package reduce

import (
	"fmt"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestSums(t *testing.T) {
	for _, shape := range []tensor.Shape{{2, 3, 5, 7}, {1, 40, 31, 3}, {3, 1, 1, 66}} {
		in := []kerneltest.Input{{Shape: shape, Inert: true}}
		t.Run("rows", func(t *testing.T) {
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Rows(in[0]) })
		})
		t.Run("pixels", func(t *testing.T) {
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Pixels(in[0]) })
		})
	}
}

// Shapes for the vectors and cuts of the CUDA kernels.
func TestWideSums(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, shape := range []tensor.Shape{{1, 33, 34, 16}, {5, 9, 4, 24}, {2, 20, 20, 264}} {
		in := []kerneltest.Input{{Shape: shape, Inert: true}}
		t.Run("rows", func(t *testing.T) {
			kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Rows(in[0]) })
		})
		t.Run("pixels", func(t *testing.T) {
			kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Pixels(in[0]) })
		})
	}
	t.Run("pixels of vectors", func(t *testing.T) {
		in := []kerneltest.Input{{Shape: tensor.Shape{300, 40}, Inert: true, Activation: true}}
		kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Pixels(in[0]) })
	})
	t.Run("rows of vectors", func(t *testing.T) {
		in := []kerneltest.Input{{Shape: tensor.Shape{300, 40}, Inert: true}}
		kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Rows(in[0]) })
	})
}

// Shapes of preset cifar, in smaller batches.
func TestTraffic(t *testing.T) {
	for _, shape := range []tensor.Shape{{2, 32, 32, 128}, {1, 32, 32, 384}, {2, 16, 16, 256}, {3, 8, 8, 512}, {12, 4, 4, 256}} {
		in := []kerneltest.Input{{Shape: shape, Inert: true}}
		t.Run(fmt.Sprint("rows", shape), func(t *testing.T) {
			kerneltest.CheckTraffic(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Rows(in[0]) })
		})
		t.Run(fmt.Sprint("pixels", shape), func(t *testing.T) {
			kerneltest.CheckTraffic(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Pixels(in[0]) })
		})
	}
}

// TestManyImages: a batch of more images than a grid is high can be launched.
func TestManyImages(t *testing.T) {
	g := gorgonia.NewGraph()
	Pixels(gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithShape(kerneltest.Many, 64, 64, 8), gorgonia.WithName("x")))
	kerneltest.CheckGrids(t, g)
}

package pointwise

import (
	"fmt"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestPointwise(t *testing.T) {
	image, vectors := kerneltest.Shape(2, 3, 4, 5), kerneltest.Shape(3, 37)
	for name, c := range operations(image, vectors, kerneltest.Shape(2, 5)) {
		t.Run(name, func(t *testing.T) { kerneltest.Check(t, c.in, c.build) })
	}
	vector := kerneltest.Input{Shape: tensor.Shape{5, 40}, Activation: true}
	for name, c := range operations(vector, vector, kerneltest.Shape(5, 40)) {
		t.Run(name+" of vectors", func(t *testing.T) { kerneltest.Check(t, c.in, c.build) })
	}
	// Vectors and tiles of the CUDA kernels, several images in a block and an image in several blocks.
	for _, shape := range []tensor.Shape{{5, 7, 4, 40}, {1, 12, 12, 264}} {
		x, t2 := kerneltest.Input{Shape: shape}, kerneltest.Shape(shape[0], shape[3])
		for name, c := range operations(x, x, t2) {
			t.Run(fmt.Sprint(name, shape), func(t *testing.T) { kerneltest.CheckKernels(t, c.in, c.build) })
		}
	}
}

type operation struct {
	in    []kerneltest.Input
	build func(in []*gorgonia.Node) *gorgonia.Node
}

// operations of the package; perImage is (N,C) for image.
func operations(image, vectors, perImage kerneltest.Input) map[string]operation {
	return map[string]operation{
		"add":           {[]kerneltest.Input{image, image}, func(in []*gorgonia.Node) *gorgonia.Node { return Add(in[0], in[1]) }},
		"add per image": {[]kerneltest.Input{image, perImage}, func(in []*gorgonia.Node) *gorgonia.Node { return AddPerImage(in[0], in[1]) }},
		"affine":        {[]kerneltest.Input{image}, func(in []*gorgonia.Node) *gorgonia.Node { return Affine(in[0], 2, -1) }},
		"silu":          {[]kerneltest.Input{vectors}, func(in []*gorgonia.Node) *gorgonia.Node { return SiLU(in[0]) }},
		"reused":        {[]kerneltest.Input{image}, func(in []*gorgonia.Node) *gorgonia.Node { return Add(in[0], Affine(in[0], 3, 0)) }},
	}
}

// Shapes of preset cifar, in smaller batches.
func TestOverPerImage(t *testing.T) {
	for _, x := range []kerneltest.Input{kerneltest.Shape(3, 2, 4, 5), kerneltest.Shape(3, 6, 10, 72)} {
		times := kerneltest.Input{Shape: tensor.Shape{3}, Fixed: []float64{0.25, -3, 900}, Inert: true}
		kerneltest.Check(t, []kerneltest.Input{x, times}, func(in []*gorgonia.Node) *gorgonia.Node { return OverPerImage(in[0], in[1]) })
	}
}

func TestTraffic(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	images := []kerneltest.Input{kerneltest.Shape(16, 32, 32, 3)}
	t.Run("images", func(t *testing.T) {
		kerneltest.CheckTraffic(t, images, func(in []*gorgonia.Node) *gorgonia.Node { return Affine(in[0], 2, -1) })
	})
	for _, shape := range []tensor.Shape{{2, 32, 32, 128}, {12, 4, 4, 256}} {
		x := kerneltest.Input{Shape: shape}
		for name, c := range operations(x, x, kerneltest.Shape(shape[0], shape[3])) {
			t.Run(fmt.Sprint(name, shape), func(t *testing.T) { kerneltest.CheckTraffic(t, c.in, c.build) })
		}
	}
}

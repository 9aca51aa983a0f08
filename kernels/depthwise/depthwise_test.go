package depthwise

import (
	"fmt"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func inert(dims ...int) kerneltest.Input { return kerneltest.Input{Shape: dims, Inert: true} }

func TestConv2D(t *testing.T) {
	for _, c := range []struct {
		kernel int
		o      Options
	}{
		{3, Options{1, 1, 1, 1, 1}},
		{3, Options{2, 0, 0, 1, 1}}, // TensorFlow's SAME of an even image
		{5, Options{2, 1, 1, 2, 2}},
		{5, Options{1, 2, 2, 2, 2}},
		{3, Options{3, 0, 2, 1, 0}},
	} {
		for _, x := range []kerneltest.Input{inert(2, 6, 8, 3), inert(1, 5, 7, 8), inert(2, 6, 6, 72)} {
			in := []kerneltest.Input{x, inert(c.kernel, c.kernel, 1, x.Shape[3]), inert(x.Shape[3])}
			t.Run(fmt.Sprint(c, x.Shape), func(t *testing.T) {
				kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Conv2D(in[0], in[1], in[2], c.o) })
			})
		}
	}
}

func TestBadShapes(t *testing.T) {
	for _, c := range []struct {
		o       Options
		x, w, b tensor.Shape
	}{
		{Options{Stride: 0}, tensor.Shape{1, 4, 4, 2}, tensor.Shape{3, 3, 1, 2}, tensor.Shape{2}},
		{Options{Stride: 1, PadTop: -1}, tensor.Shape{1, 4, 4, 2}, tensor.Shape{3, 3, 1, 2}, tensor.Shape{2}},
		{Options{Stride: 1}, tensor.Shape{1, 4, 4, 2}, tensor.Shape{3, 3, 1, 3}, tensor.Shape{2}},
		{Options{Stride: 1}, tensor.Shape{1, 4, 4, 2}, tensor.Shape{3, 3, 1, 2}, tensor.Shape{3}},
		{Options{Stride: 1}, tensor.Shape{1, 2, 4, 2}, tensor.Shape{3, 3, 1, 2}, tensor.Shape{2}},
	} {
		if _, err := (forward{o: c.o}).InferShape(c.x, c.w, c.b); err == nil {
			t.Errorf("%v of %v, %v, %v is taken", c.o, c.x, c.w, c.b)
		}
	}
}

package reshape

import (
	"fmt"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestTo(t *testing.T) {
	for _, c := range []struct {
		from kerneltest.Input
		to   tensor.Shape
	}{
		{kerneltest.Shape(2, 3, 2, 5), tensor.Shape{2, 30}},
		{kerneltest.Shape(5, 1, 1, 2), tensor.Shape{5, 2}},
		{kerneltest.Input{Shape: tensor.Shape{2, 30}, Activation: true}, tensor.Shape{2, 3, 2, 5}},
		{kerneltest.Shape(3, 4, 1, 8), tensor.Shape{3, 2, 2, 8}},
		{kerneltest.Shape(2, 12), tensor.Shape{2, 3, 4}},
	} {
		t.Run(fmt.Sprint(c.from.Shape, c.to), func(t *testing.T) {
			kerneltest.Check(t, []kerneltest.Input{c.from}, func(in []*gorgonia.Node) *gorgonia.Node { return To(in[0], c.to...) })
		})
	}
	t.Run("large", func(t *testing.T) {
		kerneltest.CheckKernels(t, []kerneltest.Input{kerneltest.Shape(9, 16, 16, 24)}, func(in []*gorgonia.Node) *gorgonia.Node { return To(in[0], 9, 16*16*24) })
	})
}

func TestShapes(t *testing.T) {
	for _, shape := range [][]int{{2, 5}, {3, 4}} {
		g := gorgonia.NewGraph()
		x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 6), gorgonia.WithName("x"))
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("(2, 6) is read as %v", shape)
				}
			}()
			To(x, shape...)
		}()
	}
}

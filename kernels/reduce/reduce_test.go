package reduce

import (
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

package resample

import (
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
)

func TestResample(t *testing.T) {
	for _, in := range [][]kerneltest.Input{{kerneltest.Shape(2, 2, 4, 3)}, {kerneltest.Shape(1, 4, 2, 17)}} {
		t.Run("up", func(t *testing.T) {
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Upsample(in[0]) })
		})
		t.Run("down", func(t *testing.T) {
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return AvgPool(in[0]) })
		})
	}
	in := []kerneltest.Input{kerneltest.Shape(3, 6, 10, 72)} // vectors and tiles of the CUDA kernels
	t.Run("wide up", func(t *testing.T) {
		kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Upsample(in[0]) })
	})
	t.Run("wide down", func(t *testing.T) {
		kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return AvgPool(in[0]) })
	})
}

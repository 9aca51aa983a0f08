package resample

import (
	"fmt"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
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

// Shapes of preset cifar, in smaller batches.
func TestTraffic(t *testing.T) {
	for _, shape := range []tensor.Shape{{2, 16, 16, 256}, {12, 4, 4, 256}} {
		in := []kerneltest.Input{{Shape: shape}}
		t.Run(fmt.Sprint("up", shape), func(t *testing.T) {
			kerneltest.CheckTraffic(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Upsample(in[0]) })
		})
		t.Run(fmt.Sprint("down", shape), func(t *testing.T) {
			kerneltest.CheckTraffic(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return AvgPool(in[0]) })
		})
	}
}

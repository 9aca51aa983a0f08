package concat

import (
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
)

func TestChannels(t *testing.T) {
	in := []kerneltest.Input{kerneltest.Shape(2, 3, 2, 5), kerneltest.Shape(2, 3, 2, 1), kerneltest.Shape(2, 3, 2, 18)}
	channels := func(in []*gorgonia.Node) *gorgonia.Node { return Channels(in...) }
	kerneltest.Check(t, in, channels)
	in = []kerneltest.Input{kerneltest.Shape(3, 7, 5, 24), kerneltest.Shape(3, 7, 5, 8), kerneltest.Shape(3, 7, 5, 272)}
	kerneltest.CheckKernels(t, in, channels) // vectors and tiles of the CUDA kernels
}

// Shapes of preset cifar, in smaller batches.
func TestTraffic(t *testing.T) {
	in := []kerneltest.Input{kerneltest.Shape(1, 32, 32, 256), kerneltest.Shape(1, 32, 32, 128)}
	kerneltest.CheckTraffic(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Channels(in...) })
}

// TestSlice: ranges at both ends, in the middle, and of all channels.
func TestSlice(t *testing.T) {
	for _, of := range [][2]int{{0, 3}, {3, 3}, {2, 2}, {0, 6}} {
		kerneltest.Check(t, []kerneltest.Input{kerneltest.Shape(2, 3, 2, 6)}, func(in []*gorgonia.Node) *gorgonia.Node { return Slice(in[0], of[0], of[1]) })
	}
}

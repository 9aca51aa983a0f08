package loss

import (
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestMSE(t *testing.T) {
	image := tensor.Shape{3, 4, 2, 5}
	in := []kerneltest.Input{{Shape: image}, {Shape: image, Inert: true}, {Shape: tensor.Shape{3}, Fixed: []float64{1, 0.25, 3}, Inert: true}}
	kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return MSE(in[0], in[1], in[2]) })
}

func TestImages(t *testing.T) {
	for _, image := range []tensor.Shape{{3, 4, 2, 5}, {2, 16, 16, 3}} {
		in := []kerneltest.Input{{Shape: image, Inert: true}, {Shape: image, Inert: true}}
		kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Images(in[0], in[1]) })
	}
}

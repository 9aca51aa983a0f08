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

func TestAdaptive(t *testing.T) {
	for _, n := range []int{1, 5, 300} {
		errors, weights := make([]float64, n), make([]float64, n)
		for i := range errors {
			errors[i], weights[i] = float64(i*i)/16, 1+float64(i%3)
		}
		in := []kerneltest.Input{{Shape: tensor.Shape{n}, Fixed: errors, Inert: true}, {Shape: tensor.Shape{n}, Fixed: weights, Inert: true}}
		kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Normalised(in[0], in[1], 0.1) })
		for _, p := range []float64{0.5, 0.75, 1} {
			kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Adaptive(in[0], in[1], p, 1e-3) })
		}
	}
}

// TestHuber: with small errors and large ones, beside c; an image without error has no
// gradient, and no number that is none.
func TestHuber(t *testing.T) {
	image := tensor.Shape{3, 4, 2, 5}
	same := make([]float64, image.TotalSize())
	for _, c := range []float64{0.00054, 0.03, 10} {
		in := []kerneltest.Input{{Shape: image}, {Shape: image, Inert: true}, {Shape: tensor.Shape{3}, Fixed: []float64{1, 0.25, 3}, Inert: true}, {Shape: tensor.Shape{3}, Fixed: []float64{1, 30, 0.01}, Inert: true}}
		kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Huber(in[0], in[1], in[2], in[3], c) })
		in[0].Fixed, in[1].Fixed, in[0].Inert = same, same, true
		kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Huber(in[0], in[1], in[2], in[3], c) })
	}
}

// TestVariational: terms and their derivatives, of divergences, densities and levels, at the ends of
// the range and where a level has no mass left.
func TestVariational(t *testing.T) {
	image := tensor.Shape{4, 4, 2, 5}
	x := make([]float64, image.TotalSize())
	for i := range x {
		x[i] = []float64{-1, 1, 0.25, -0.5}[i%4]
	}
	numbers := []float64{
		1, 1.5, 2, -1, 1, 0,
		0.5, 0.3, 4, 0.7, 0, 0,
		2, 0.9, 1.5, 0, 0, 0.3,
		0.001, 40, 0.5, 0, 0, 0.004,
	}
	in := []kerneltest.Input{
		{Shape: image, Inert: true}, {Shape: image}, {Shape: image, Inert: true}, {Shape: image, Fixed: x, Inert: true},
		{Shape: tensor.Shape{4, Columns}, Fixed: numbers, Inert: true}, {Shape: tensor.Shape{4, 1, 1, 1}},
		{Shape: tensor.Shape{4, 1, 1, 1}, Inert: true}, {Shape: tensor.Shape{4}, Fixed: []float64{1, 2, 3, 4}, Inert: true},
	}
	kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node {
		return Variational(in[0], in[1], in[2], in[3], in[4], MSE(in[5], in[6], in[7]))
	})
	in = in[:5]
	in[1].Inert = true
	kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Terms(in[0], in[1], in[2], in[3], in[4]) })
	in[0].Inert, in[1].Inert = false, false
	kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Bound(in[0], in[1], in[2], in[3], in[4]) })
}

package estimate

import (
	"math"
	"testing"

	"fluxion/kernels/kerneltest"
	"fluxion/kernels/loss"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// weights of three images: one without estimate, one of ordinary weights, one of
// large ones, whose estimate is clipped nearly everywhere.
var weights = []float64{0, 0, 1, -0.8, 40, -30}

func TestImage(t *testing.T) {
	for _, image := range []tensor.Shape{{3, 4, 2, 5}, {3, 16, 24, 3}, {3, 1, 1, 1}} {
		in := []kerneltest.Input{
			{Shape: image, Inert: true}, {Shape: image, Inert: true},
			{Shape: tensor.Shape{3, 2}, Fixed: weights, Inert: true},
		}
		kerneltest.CheckKernels(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Image(in[0], in[1], in[2]) })
	}
}

// TestRange: estimates lie in the range of pixels, and an image without weights has
// none even where the network's output is no number.
func TestRange(t *testing.T) {
	n := func(v []float64, shape ...int) gorgonia.Value {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))
	}
	x, err := Op{}.Do(n([]float64{1, 2, 3, 0.5}, 2, 1, 2, 1), n([]float64{math.NaN(), math.Inf(1), -4, 0.25}, 2, 1, 2, 1), n([]float64{0, 0, 1, 1}, 2, 2))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0, 0, -1, 0.75} {
		if got := x.Data().([]float64)[i]; got != want {
			t.Errorf("value %d is %v, want %v", i, got, want)
		}
	}
}

// TestStopsGradients: what x̂ was made from learns nothing by way of it.
func TestStopsGradients(t *testing.T) {
	g := gorgonia.NewGraph()
	node := func(name string, shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float64, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	}
	y := node("y", 1, 2, 2, 1)
	x := Image(node("z", 1, 2, 2, 1), y, node("weights", 1, 2))
	if grads, err := gorgonia.Grad(loss.MSE(x, node("target", 1, 2, 2, 1), node("weight", 1)), y); err == nil {
		t.Errorf("there are gradients: %v", grads)
	}
}

// Launches move little more than their operands, whole sectors of them.
func TestTrafficCUDA(t *testing.T) {
	image := kerneltest.Input{Shape: tensor.Shape{4, 32, 32, 3}, Inert: true}
	in := []kerneltest.Input{image, image, {Shape: tensor.Shape{4, 2}, Inert: true}}
	kerneltest.CheckTraffic(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Image(in[0], in[1], in[2]) })
}

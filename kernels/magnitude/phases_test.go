package magnitude

import (
	"math"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestPhases(t *testing.T) {
	times := kerneltest.Input{Shape: tensor.Shape{4}, Fixed: []float64{999, -1.5, 0.0625, 0}, Inert: true}
	frequencies := kerneltest.Input{Shape: tensor.Shape{5}, Fixed: []float64{6.5, -3.25, 0.015625, 14.75, -2}, Inert: true}
	phases := kerneltest.Input{Shape: tensor.Shape{5}, Fixed: []float64{0, 1.25, 3.5, 6.25, 2}, Inert: true}
	of := func(in []*gorgonia.Node) *gorgonia.Node { return Phases(in[0], in[1], in[2]) }
	kerneltest.Check(t, []kerneltest.Input{times, frequencies, phases}, of)
	// More of them than threads of a block.
	kerneltest.CheckKernels(t, []kerneltest.Input{times, {Shape: tensor.Shape{300}, Inert: true}, {Shape: tensor.Shape{300}, Inert: true}}, of)
	if got := cosine(2, 0.5, 0.25); math.Abs(got-0.4459331614) > 1e-9 { // √2·cos(1.25)
		t.Errorf("of 2 it is %.10f", got)
	}
}

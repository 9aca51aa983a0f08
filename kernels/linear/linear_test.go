package linear

import (
	"testing"

	"fluxion/kernels/cpu/amx/amxtest"
	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestTiles has products with more rows of all operands than a tile.
func TestTiles(t *testing.T) {
	in := []kerneltest.Input{kerneltest.Shape(1, 5, 7, 70), kerneltest.Shape(70, 49), kerneltest.Shape(49)}
	kerneltest.CheckBF16(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Linear(in[0], in[1], in[2]) })
}

// TestAMX is TestTiles on tiles, where need be on emulated ones.
func TestAMX(t *testing.T) { amxtest.Run(t, "^TestTiles$/^amx$") }

// TestVectors: activations may be vectors.
func TestVectors(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, x := range []tensor.Shape{{7, 5}, {3, 2}, {70, 33}} {
		in := []kerneltest.Input{{Shape: x, Activation: true}, kerneltest.Shape(x[1], 19), kerneltest.Shape(19)}
		kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Linear(in[0], in[1], in[2]) })
	}
}

// TestPlain: without a bias.
func TestPlain(t *testing.T) {
	in := []kerneltest.Input{{Shape: tensor.Shape{7, 13}, Activation: true}, kerneltest.Shape(13, 19)}
	kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Plain(in[0], in[1]) })
}

func TestLinear(t *testing.T) {
	for _, x := range []tensor.Shape{{7, 5}, {2, 3, 3, 5}, {1, 70}, {2, 4, 4, 33}} {
		for _, cout := range []int{3, 19, 32} {
			cin := x[len(x)-1]
			in := []kerneltest.Input{{Shape: x}, kerneltest.Shape(cin, cout), kerneltest.Shape(cout)}
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Linear(in[0], in[1], in[2]) })
		}
	}
}

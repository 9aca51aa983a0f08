package mish

import (
	"fmt"
	"math"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
)

func TestMish(t *testing.T) {
	of := func(in []*gorgonia.Node) *gorgonia.Node { return Mish(in[0]) }
	for _, in := range [][]kerneltest.Input{{kerneltest.Shape(2, 3, 4, 5)}, {kerneltest.Shape(3, 7)}} {
		t.Run(fmt.Sprint(in[0].Shape), func(t *testing.T) { kerneltest.Check(t, in, of) })
	}
	t.Run("wide", func(t *testing.T) { // vectors and tiles of the CUDA kernels
		kerneltest.CheckKernels(t, []kerneltest.Input{kerneltest.Shape(3, 6, 10, 72)}, of)
	})
}

// TestValues: numbers of torch.nn.functional.mish in float64, and the end.
func TestValues(t *testing.T) {
	values := [][2]float64{
		{-20, -4.122307240628762e-08}, {-10, -0.00045398899185674697}, {-3, -0.1456474612756246}, {-1, -0.30340146137410895}, {-0.1, -0.05678857521284473},
		{0, 0}, {0.5, 0.3752452113048951}, {2, 1.9439589595339946}, {30, 30}, {math.Inf(1), math.Inf(1)},
	}
	for _, v := range values {
		if y := value(v[0]); y != v[1] && !(math.Abs(y-v[1]) <= 1e-12*math.Abs(v[1])) {
			t.Errorf("mish(%g) is %g, want %g", v[0], y, v[1])
		}
	}
}

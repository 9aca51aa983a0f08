package gelu

import (
	"fmt"
	"math"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
)

func TestGELU(t *testing.T) {
	of := func(in []*gorgonia.Node) *gorgonia.Node { return GELU(in[0]) }
	for _, in := range [][]kerneltest.Input{{kerneltest.Shape(2, 3, 4, 5)}, {kerneltest.Shape(3, 7)}} {
		t.Run(fmt.Sprint(in[0].Shape), func(t *testing.T) { kerneltest.Check(t, in, of) })
	}
	t.Run("wide", func(t *testing.T) { // vectors and tiles of the CUDA kernels
		kerneltest.CheckKernels(t, []kerneltest.Input{kerneltest.Shape(3, 6, 10, 72)}, of)
	})
}

// TestValues: numbers of torch.nn.functional.gelu in float64 (of −10, where that says 0, of
// scipy.special.ndtr), and the end.
func TestValues(t *testing.T) {
	values := [][2]float64{
		{-10, -7.619853024160527e-23}, {-3, -0.0040496940948902834}, {-1, -0.15865525393145707}, {-0.1, -0.04601721627229073},
		{0, 0}, {0.5, 0.3457312306370065}, {2, 1.9544997361036416}, {30, 30}, {math.Inf(1), math.Inf(1)},
	}
	for _, v := range values {
		if y := value(v[0]); y != v[1] && !(math.Abs(y-v[1]) <= 1e-12*math.Abs(v[1])) {
			t.Errorf("gelu(%g) is %g, want %g", v[0], y, v[1])
		}
	}
}

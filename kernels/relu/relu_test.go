package relu

import (
	"fmt"
	"math"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestReLU(t *testing.T) {
	for _, limit := range []float64{math.Inf(1), 0.5} {
		of := func(in []*gorgonia.Node) *gorgonia.Node { return Clip(in[0], limit) }
		for _, in := range [][]kerneltest.Input{{kerneltest.Shape(2, 3, 4, 5)}, {kerneltest.Shape(3, 7)}} {
			t.Run(fmt.Sprint(limit, in[0].Shape), func(t *testing.T) { kerneltest.Check(t, in, of) })
		}
		t.Run(fmt.Sprint("wide", limit), func(t *testing.T) { // vectors and tiles of the CUDA kernels
			kerneltest.CheckKernels(t, []kerneltest.Input{kerneltest.Shape(3, 6, 10, 72)}, of)
		})
	}
}

// TestEnds: what lies on and beyond the ends, and what is no number.
func TestEnds(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	in := []float32{-inf, -1, 0, 3, 6, 7, inf, nan}
	out := make([]float32, len(in))
	of := func(x []float32) kernels.Operand {
		return kernels.Operand{Matrix: cpu.Matrix{Data: x, Rows: 1, Cols: len(x), Pitch: len(x)}, Shape: tensor.Shape{1, len(x)}}
	}
	k, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(1, k)
	defer pool.Close()
	clip{limit: 6}.CPU(kernels.Launch{In: []kernels.Operand{of(in)}, Out: of(out)})(pool)
	for i, want := range []float32{0, 0, 0, 3, 6, 6, 6} {
		if out[i] != want {
			t.Errorf("relu6(%v) is %v, want %v", in[i], out[i], want)
		}
	}
	if out[7] == out[7] {
		t.Errorf("relu6(NaN) is %v", out[7])
	}
}

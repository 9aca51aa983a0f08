package pool

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

func TestPool(t *testing.T) {
	for _, o := range []Options{{3, 2, 0}, {3, 1, 1}, {2, 2, 0}, {3, 2, 1}, {5, 3, 2}} {
		for name, of := range map[string]func(*gorgonia.Node, Options) *gorgonia.Node{"max": Max, "mean": Mean} {
			for _, in := range [][]kerneltest.Input{{kerneltest.Shape(2, 5, 6, 3)}, {kerneltest.Shape(1, 7, 5, 8)}} {
				in[0].Inert = name == "max"
				t.Run(fmt.Sprint(name, o, in[0].Shape), func(t *testing.T) {
					kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return of(in[0], o) })
				})
			}
			t.Run(fmt.Sprint("wide ", name, o), func(t *testing.T) { // vectors and tiles of the CUDA kernels
				kerneltest.CheckKernels(t, []kerneltest.Input{{Shape: tensor.Shape{2, 6, 7, 72}, Inert: name == "max"}}, func(in []*gorgonia.Node) *gorgonia.Node { return of(in[0], o) })
			})
		}
	}
}

// TestGlobal: one window over the whole image.
func TestGlobal(t *testing.T) {
	kerneltest.Check(t, []kerneltest.Input{kerneltest.Shape(2, 4, 4, 5)}, func(in []*gorgonia.Node) *gorgonia.Node { return Mean(in[0], Options{4, 1, 0}) })
}

// TestSmall: images that are smaller than their windows.
func TestSmall(t *testing.T) {
	for name, of := range map[string]func(*gorgonia.Node, Options) *gorgonia.Node{"max": Max, "mean": Mean} {
		in := []kerneltest.Input{{Shape: tensor.Shape{2, 2, 1, 3}, Inert: name == "max"}}
		t.Run(name, func(t *testing.T) {
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return of(in[0], Options{5, 2, 2}) })
		})
	}
}

// TestNaN: what is no number stays none, or a network that diverged would look sound.
func TestNaN(t *testing.T) {
	nan := float32(math.NaN())
	operand := func(h, w int, data ...float32) kernels.Operand {
		return kernels.Operand{Matrix: cpu.Matrix{Data: data, Rows: h * w, Cols: 1, Pitch: 1}, Shape: tensor.Shape{1, h, w, 1}}
	}
	out := operand(1, 1, 0)
	k, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(1, k)
	defer pool.Close()
	windows{o: Options{2, 1, 0}, max: true}.CPU(kernels.Launch{In: []kernels.Operand{operand(2, 2, 1, nan, 2, 3)}, Out: out})(pool)
	if out.Data[0] == out.Data[0] {
		t.Errorf("the largest of 1, NaN, 2, 3 is %v", out.Data[0])
	}
}

func TestBadWindows(t *testing.T) {
	for _, o := range []Options{{0, 1, 0}, {3, 0, 0}, {3, 1, 2}, {3, 1, -1}, {9, 1, 0}} {
		if _, err := (windows{o: o}).InferShape(tensor.Shape{1, 4, 4, 1}); err == nil {
			t.Errorf("windows of %v on 4×4 pixels are taken", o)
		}
	}
}

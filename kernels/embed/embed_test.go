package embed

import (
	"math"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestTimestep(t *testing.T) {
	times := kerneltest.Input{Shape: tensor.Shape{3}, Fixed: []float64{0, 999, 437.25}, Inert: true}
	for _, o := range []TimestepOptions{{8, true, 0, 1}, {10, false, 1, 1000}} {
		kerneltest.Check(t, []kerneltest.Input{times}, func(in []*gorgonia.Node) *gorgonia.Node { return Timestep(in[0], o) })
	}
}

func TestLookup(t *testing.T) {
	index := kerneltest.Input{Shape: tensor.Shape{4}, Fixed: []float64{2, 0, 2, 4}, Inert: true}
	in := []kerneltest.Input{kerneltest.Shape(5, 7), index}
	kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Lookup(in[0], in[1]) })
}

// TestManyRows: a table of more rows than a grid is high can be launched, and its gradient.
func TestManyRows(t *testing.T) {
	table, rows, index := tensor.Shape{kerneltest.Many, 4}, tensor.Shape{3, 4}, tensor.Shape{3}
	kerneltest.CheckGrid(t, lookup{}, rows, table, index)
	kerneltest.CheckGrid(t, lookupGrad{}, table, index, rows)
}

// TestLookupOutside: rows that a table has not are NaN, as on a GPU, and no memory behind it is read.
func TestLookupOutside(t *testing.T) {
	operand := func(rows, columns int, data ...float32) kernels.Operand {
		return kernels.Operand{Matrix: cpu.Matrix{Data: data, Rows: rows, Cols: columns, Pitch: columns}}
	}
	out := operand(5, 2, make([]float32, 10)...)
	table := operand(2, 2, 1, 2, 3, 4, 5, 6) // 5 and 6 are of somebody else
	lookup{}.CPU(kernels.Launch{In: []kernels.Operand{table, operand(5, 1, 1, 2, -1, float32(math.NaN()), 0)}, Out: out})(nil)
	for i, want := range []float32{3, 4, 0, 0, 0, 0, 0, 0, 1, 2} {
		if got := out.Data[i]; want == 0 && got == got || want != 0 && got != want {
			t.Errorf("number %d is %g, want %g, or NaN for 0", i, got, want)
		}
	}
}

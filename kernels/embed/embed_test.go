package embed

import (
	"testing"

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

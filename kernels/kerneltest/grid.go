package kerneltest

import (
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Many images are more than a grid has blocks in any direction but its first.
const Many = 1<<16 + 1

// CheckGrid holds the launches of a kernel over float32 operands of these shapes to what a
// GPU takes. Nothing is run: it is for batches of Many images, which would take long.
func CheckGrid(t *testing.T, k cuda.Kernel, out tensor.Shape, in ...tensor.Shape) {
	t.Helper()
	there := func(shape tensor.Shape) cuda.Operand {
		o := packed(shape, number.Float32)
		o.Address = 1 << 20
		return o
	}
	l := cuda.Launch{Out: there(out)}
	for _, shape := range in {
		l.In = append(l.In, there(shape))
	}
	for _, call := range k.CUDA(l) {
		if call.Grid[0] > 1<<31-1 || max(call.Grid[1], call.Grid[2]) > 1<<16-1 {
			t.Errorf("%T over %v and %v: %s has the grid %v", k, out, in, call.Function, call.Grid)
		}
	}
}

// CheckGrids checks the grids of all operators of a graph.
func CheckGrids(t *testing.T, g *gorgonia.ExprGraph) {
	t.Helper()
	for _, n := range g.AllNodes() {
		k, ok := n.Op().(cuda.Kernel)
		if !ok {
			continue
		}
		var in []tensor.Shape
		for _, i := range inputsOf(n) {
			in = append(in, i.Shape())
		}
		CheckGrid(t, k, n.Shape(), in...)
	}
}

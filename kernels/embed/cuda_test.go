package embed

import (
	"fmt"
	"math"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

// Angles of a million radians are as good as small ones.
func TestTimestepCUDA(t *testing.T) {
	times := []float64{0, 1, 0.03125, 437.25, 999, 1e6, -3}
	for _, o := range []TimestepOptions{{2, true, 0, 1}, {128, true, 0, 1}, {130, false, 1, 1000}, {300, false, 1, 1}} {
		g := kerneltest.NewGPU(t, 1)
		k := timestep{kernels.Signature{}, o}
		out := g.Empty(number.Float32, len(times), o.Dim, 3)
		g.Run(k.CUDA(cuda.Launch{In: []cuda.Operand{g.Vector(number.Float32, times)}, Out: out})...)
		for i, got := range g.Values(out) {
			if want := o.value(times[i/o.Dim], i%o.Dim); math.Abs(float64(got)-want) > 3e-7 {
				t.Errorf("%+v: element %d of time %v is %v, want %v", o, i%o.Dim, times[i/o.Dim], got, want)
			}
		}
	}
}

// Lookup and its gradient, with more rows than a block reads at a time and rows
// that nobody takes; an index that is none gives NaN.
func TestLookupCUDA(t *testing.T) {
	for _, c := range []struct{ rows, width, taken int }{{1, 1, 1}, {5, 7, 4}, {11, 130, 300}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			g := kerneltest.NewGPU(t, 2)
			table, dy, index := make([]float64, c.rows*c.width), make([]float64, c.taken*c.width), make([]float64, c.taken)
			for i := range table {
				table[i] = float64(i) / 8
			}
			for i := range dy {
				dy[i] = float64(i%97 - 40)
			}
			grad := make([]float64, len(table))
			for n := range index {
				index[n] = float64(n * 7 % c.rows / 2)
				for j := range c.width {
					grad[int(index[n])*c.width+j] += dy[n*c.width+j]
				}
			}
			rows := g.Matrix(number.Float32, c.rows, c.width, 2, table)
			indices := g.Vector(number.Float32, index)
			out := g.Empty(number.Float32, c.taken, c.width, 3)
			g.Run(lookup{}.CUDA(cuda.Launch{In: []cuda.Operand{rows, indices}, Out: out})...)
			for i, x := range g.Values(out) {
				if want := table[int(index[i/c.width])*c.width+i%c.width]; float64(x) != want {
					t.Fatalf("element %d is %v, want %v", i, x, want)
				}
			}
			sums := g.Empty(number.Float32, c.rows, c.width, 1)
			g.Run(lookupGrad{}.CUDA(cuda.Launch{In: []cuda.Operand{indices, g.Matrix(number.Float32, c.taken, c.width, 0, dy)}, Out: sums})...)
			for i, x := range g.Values(sums) {
				if float64(x) != grad[i] {
					t.Fatalf("gradient %d is %v, want %v", i, x, grad[i])
				}
			}
		})
	}
	g := kerneltest.NewGPU(t, 1)
	for _, wrong := range []float64{-1, 5, 1e30, math.NaN()} {
		out := g.Empty(number.Float32, 1, 4, 0)
		g.Run(lookup{}.CUDA(cuda.Launch{In: []cuda.Operand{g.Matrix(number.Float32, 5, 4, 0, make([]float64, 20)), g.Vector(number.Float32, []float64{wrong})}, Out: out})...)
		if x := g.Values(out)[0]; x == x {
			t.Errorf("row %v of 5 is %v", wrong, x)
		}
	}
}

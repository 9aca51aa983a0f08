package pointwise

import (
	"fmt"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

// The copy of plans, which is no operation of a graph: from and to ranges of
// channels, in accesses of every size.
func TestCopyCUDA(t *testing.T) {
	for _, of := range []number.Type{number.Float32, number.BFloat16} {
		for _, c := range []struct{ rows, cols, fromGap, toGap int }{{70, 24, 0, 0}, {70, 24, 8, 16}, {70, 24, 3, 8}, {9, 5, 2, 0}, {1, 97, 0, 0}} {
			t.Run(fmt.Sprint(of, c), func(t *testing.T) {
				values := make([]float64, c.rows*c.cols)
				for i := range values {
					values[i] = float64(i%251 - 125)
				}
				g := kerneltest.NewGPU(t, 1)
				from, to := g.Matrix(of, c.rows, c.cols, c.fromGap, values), g.Empty(of, c.rows, c.cols, c.toGap)
				g.Run(NewCopy(2).(cuda.Kernel).CUDA(cuda.Launch{In: []cuda.Operand{from}, Out: to})...)
				for i, x := range g.Values(to) {
					if float64(x) != values[i] {
						t.Fatalf("element %d is %g, want %g", i, x, values[i])
					}
				}
			})
		}
	}
}

func TestCopyOfTypes(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a copy to another type was bound")
		}
	}()
	Copy(cuda.Operand{Type: number.BFloat16}, cuda.Operand{Type: number.Float32})
}

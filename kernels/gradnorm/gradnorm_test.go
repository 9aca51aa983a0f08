package gradnorm

import (
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

func TestNorm(t *testing.T) {
	k, err := cpu.Select("")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 100, blockFloats, 3*blockFloats + 17} {
		g, double := make([]float32, n), make([]float64, n)
		for i := range g {
			g[i] = float32(rng.NormFloat64())
			double[i] = float64(g[i])
		}
		run := func(threads int) float32 {
			pool := cpu.NewPool(threads, k)
			defer pool.Close()
			out := []float32{0}
			New().CPU(kernels.Launch{
				In:  []kernels.Operand{{Matrix: cpu.Matrix{Data: g, Rows: 1, Cols: n, Pitch: n}, Shape: tensor.Shape{n}}},
				Out: kernels.Operand{Matrix: cpu.Matrix{Data: out, Rows: 1, Cols: 1, Pitch: 1}, Shape: tensor.ScalarShape()},
			})(pool)
			return out[0]
		}
		if got, want := float64(run(1)), reference(double); math.Abs(got-want) > 1e-6*want {
			t.Errorf("%d floats: norm %v, want %v", n, got, want)
		}
		if run(1) != run(3) {
			t.Errorf("%d floats: 1 and 3 threads give different bits", n)
		}
		g[n/2] = float32(math.NaN())
		if !math.IsNaN(float64(run(2))) {
			t.Errorf("%d floats: a NaN is not noticed", n)
		}
	}
}

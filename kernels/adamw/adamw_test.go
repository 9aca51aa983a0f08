package adamw

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/tensor"
)

// TestSteps runs several steps and compares each with the reference.
func TestSteps(t *testing.T) {
	k, err := cpu.Select("")
	if err != nil {
		t.Fatal(err)
	}
	const n = 2*blockFloats + 39
	for _, clip := range []float64{0, 0.5} {
		step := &Step{LearningRate: 1e-2, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.1, GradScale: 0.25, ClipNorm: clip, AverageRate: 0.8}
		rng := rand.New(rand.NewPCG(1, 1))
		buffers := make([][]float32, 5) // parameters, gradients, moments, average
		for i := range buffers {
			buffers[i] = make([]float32, n)
		}
		for i := range n {
			buffers[0][i] = float32(rng.NormFloat64())
		}
		operand := func(b []float32) kernels.Operand {
			return kernels.Operand{Matrix: cpu.Matrix{Data: b, Rows: 1, Cols: len(b), Pitch: len(b)}, Shape: tensor.Shape{len(b)}}
		}
		norm := []float32{0}
		l := kernels.Launch{Out: operand(buffers[0]), Threads: 2}
		for _, b := range buffers[1:] {
			l.In = append(l.In, operand(b))
		}
		l.In = append(l.In, operand(norm))
		pool := cpu.NewPool(2, k)
		defer pool.Close()
		run := New(step).CPU(l)
		for step.Count = 1; step.Count <= 3; step.Count++ {
			for i := range n {
				buffers[1][i] = float32(rng.NormFloat64())
			}
			norm[0] = 100
			want := make([][4]float64, n)
			for i := range n {
				p, m, v, a := step.reference(float64(buffers[0][i]), float64(buffers[1][i]), float64(buffers[2][i]), float64(buffers[3][i]), float64(buffers[4][i]), float64(norm[0]))
				want[i] = [4]float64{p, m, v, a}
			}
			run(pool)
			for i := range n {
				got := [4]float64{float64(buffers[0][i]), float64(buffers[2][i]), float64(buffers[3][i]), float64(buffers[4][i])}
				for j := range got {
					if math.Abs(got[j]-want[i][j]) > 1e-6*(1+math.Abs(want[i][j])) {
						t.Fatalf("clip %v, step %d, element %d: got %v, want %v", clip, step.Count, i, got, want[i])
					}
				}
			}
		}
		before := slices.Clone(buffers[0])
		norm[0] = float32(math.NaN())
		if run(pool); !slices.Equal(before, buffers[0]) {
			t.Error("a step whose gradients are not finite changed the parameters")
		}
	}
}

package adamw

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

// TestCUDA runs several steps on one table of rows and compares each with the reference.
func TestCUDA(t *testing.T) {
	for _, clip := range []float64{0, 0.5} {
		for _, copied := range []bool{false, true} {
			t.Run(fmt.Sprint("clip ", clip, ", copy ", copied), func(t *testing.T) { checkCUDA(t, clip, copied) })
		}
	}
}

func checkCUDA(t *testing.T, clip float64, copied bool) {
	const n, norm = 4*threads + 4*77 + 3, 100
	step := &Step{LearningRate: 1e-2, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, WeightDecay: 0.1, GradScale: 0.25, ClipNorm: clip, AverageRate: 0.8}
	k := New(step).(interface {
		cuda.Kernel
		cuda.Parameterised
	})
	rng := rand.New(rand.NewPCG(1, 1))
	random := func(scale float64) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(float32(scale * rng.NormFloat64()))
		}
		return v
	}
	zeros := make([]float64, n)
	g := kerneltest.NewGPU(t, 4)
	l := cuda.Launch{Out: g.Vector(number.Float32, random(1)), In: []cuda.Operand{
		{}, g.Vector(number.Float32, zeros), g.Vector(number.Float32, zeros), g.Vector(number.Float32, zeros), g.Vector(number.Float32, []float64{norm})}}
	if copied {
		l.In = append(l.In, g.Vector(number.BFloat16, zeros))
	}
	for step.Count = 1; step.Count <= 3; step.Count++ {
		gradients := random(1)
		l.In[0] = g.Vector(number.Float32, gradients)
		p, m, v, a := g.Values(l.Out), g.Values(l.In[1]), g.Values(l.In[2]), g.Values(l.In[3])
		row := make([]byte, k.ParameterBytes())
		k.PutParameters(row)
		l.Parameters = g.Parameters(int(step.Count)-1, row, row, row)
		g.Run(k.CUDA(l)...)

		got := [][]float32{g.Values(l.Out), g.Values(l.In[1]), g.Values(l.In[2]), g.Values(l.In[3])}
		for i := range n {
			var want [4]float64
			want[0], want[1], want[2], want[3] = step.reference(float64(p[i]), gradients[i], float64(m[i]), float64(v[i]), float64(a[i]), norm)
			for j, w := range want {
				if math.Abs(float64(got[j][i])-w) > 1e-6*(1+math.Abs(w)) {
					t.Fatalf("step %d, element %d of buffer %d: got %v, want %v", step.Count, i, j, got[j][i], w)
				}
			}
		}
		if copied {
			for i, x := range g.Values(l.In[5]) {
				if x != number.Round(got[0][i]) {
					t.Fatalf("copy %d is %v of %v", i, x, got[0][i])
				}
			}
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		before := g.Values(l.Out)
		l.In[4] = g.Vector(number.Float32, []float64{bad})
		g.Run(k.CUDA(l)...)
		if !slices.Equal(before, g.Values(l.Out)) {
			t.Errorf("a step of norm %v changed the parameters", bad)
		}
	}
}

// A launch moves 38 bytes an element and little more, in whole sectors.
func TestTrafficCUDA(t *testing.T) {
	const n = 64 * threads
	g := kerneltest.NewSimulator(t, 1)
	on := func(typ number.Type) cuda.Operand { return g.Vector(typ, make([]float64, n)) }
	k := New(&Step{Count: 1}).(interface {
		cuda.Kernel
		cuda.Parameterised
	})
	row := make([]byte, k.ParameterBytes())
	k.PutParameters(row)
	l := cuda.Launch{Out: on(number.Float32), Parameters: g.Parameters(0, row), In: []cuda.Operand{
		on(number.Float32), on(number.Float32), on(number.Float32), on(number.Float32), g.Vector(number.Float32, []float64{1}), on(number.BFloat16)}}
	kerneltest.Traffic(t, g.Run(k.CUDA(l)...), 38*n, 1.05)
}

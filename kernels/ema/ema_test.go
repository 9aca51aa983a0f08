package ema

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

func random(n int) []float64 {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(rng.NormFloat64()))
	}
	return v
}

// follow holds the updates that run makes against the reference, and sees that none is made
// when the norm is not finite.
func follow(t *testing.T, parameters []float64, average func() []float32, run func(norm float32, s *Hyper)) {
	t.Helper()
	for _, decay := range []float64{0, 0.8, 1 - 1e-4, 1} {
		before := slices.Clone(average())
		s := &Hyper{Decay: decay}
		run(3, s)
		for i, x := range average() {
			if want := s.reference(parameters[i], float64(before[i])); math.Abs(float64(x)-want) > 1e-6*(1+math.Abs(want)) {
				t.Fatalf("decay %v, element %d: got %v, want %v", decay, i, x, want)
			}
		}
	}
	for _, norm := range []float64{math.NaN(), math.Inf(1)} {
		before := slices.Clone(average())
		if run(float32(norm), &Hyper{}); !slices.Equal(before, average()) {
			t.Errorf("a step of norm %v changed the average", norm)
		}
	}
}

func TestCPU(t *testing.T) {
	const n = 2*blockFloats + 39
	k, err := cpu.Select("")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(2, k)
	defer pool.Close()
	operand := func(b []float32) kernels.Operand {
		return kernels.Operand{Matrix: cpu.Matrix{Data: b, Rows: 1, Cols: len(b), Pitch: len(b)}, Shape: tensor.Shape{len(b)}}
	}
	parameters, p, average, norm := random(n), make([]float32, n), make([]float32, n), []float32{0}
	for i, x := range parameters {
		p[i], average[i] = float32(x), float32(i%11)
	}
	var step Hyper
	launch := New(&step).CPU(kernels.Launch{Out: operand(average), In: []kernels.Operand{operand(p), operand(norm)}, Threads: 2})
	follow(t, parameters, func() []float32 { return average }, func(n float32, s *Hyper) {
		norm[0], step = n, *s
		launch(pool)
	})
}

func TestCUDA(t *testing.T) {
	const n = 4*threads + 4*77 + 3
	g := kerneltest.NewGPU(t, 4)
	parameters, begin := random(n), make([]float64, n)
	for i := range begin {
		begin[i] = float64(i % 11)
	}
	l := cuda.Launch{Out: g.Vector(number.Float32, begin), In: []cuda.Operand{g.Vector(number.Float32, parameters), {}}}
	follow(t, parameters, func() []float32 { return g.Values(l.Out) }, func(norm float32, s *Hyper) {
		k := New(s).(interface {
			cuda.Kernel
			cuda.Parameterised
		})
		row := make([]byte, k.ParameterBytes())
		k.PutParameters(row)
		l.In[1], l.Parameters = g.Vector(number.Float32, []float64{float64(norm)}), g.Parameters(0, row)
		g.Run(k.CUDA(l)...)
	})
}

// A launch moves 12 bytes an element and little more, in whole sectors.
func TestTrafficCUDA(t *testing.T) {
	const n = 64 * threads
	g := kerneltest.NewSimulator(t, 1)
	k := New(&Hyper{}).(interface {
		cuda.Kernel
		cuda.Parameterised
	})
	l := cuda.Launch{
		Out: g.Vector(number.Float32, make([]float64, n)), Parameters: g.Parameters(0, make([]byte, k.ParameterBytes())),
		In: []cuda.Operand{g.Vector(number.Float32, make([]float64, n)), g.Vector(number.Float32, []float64{1})},
	}
	kerneltest.Traffic(t, g.Run(k.CUDA(l)...), 12*n, 1.05)
}

package guide

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/draw"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

// steps use every part of the kernel.
var steps = map[string]Step{
	"guided":    {Guidance: 3.5},
	"rescaled":  {Guidance: 3.5, Rescale: 0.7},
	"threshold": {Guidance: 2, Percentile: 0.9, XZ: 1, XY: -0.8},
	"largest":   {Guidance: 2, Percentile: 1, XZ: 1, XY: -0.8},
	"clipped":   {Guidance: 1, Clip: true, XZ: 0.4, XY: 1.5},
	"all":       {Guidance: 4, Rescale: 0.3, Percentile: 0.77, XZ: 0.3, XY: 0.9},
	"clean":     {Guidance: 4, Percentile: 0.77, XZ: 1},
}

func random(n int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(rng.NormFloat64()))
	}
	return v
}

// matrix holds the values, with a gap of NaN after each row.
func matrix(s draw.Shape, gap int, values []float64) cpu.Matrix {
	m := cpu.Matrix{Rows: s.Images * s.Pixels, Cols: s.Channels, Pitch: s.Channels + gap}
	m.Data = make([]float32, m.Rows*m.Pitch)
	for i := range m.Data {
		m.Data[i] = float32(math.NaN())
	}
	for i, v := range values {
		m.Data[i/m.Cols*m.Pitch+i%m.Cols] = float32(v)
	}
	return m
}

func dense(m cpu.Matrix) (values []float32) {
	for r := range m.Rows {
		values = append(values, m.Row(r)...)
	}
	return values
}

func near(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= 1e-5*math.Max(1, math.Abs(w))) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], w)
		}
	}
}

// The kernels of the CPU, on any number of threads, and of the GPU against the
// reference; with a second output and without, at any pitch.
func TestAgainstReference(t *testing.T) {
	kernels, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []draw.Shape{{Images: 1, Pixels: 1, Channels: 1}, {Images: 3, Pixels: 35, Channels: 3}, {Images: 2, Pixels: 24 * 32, Channels: 3}} {
		k, n := Kernel{s}, s.Images*s.Values()
		for name, step := range steps {
			for _, gap := range []int{0, 5} {
				t.Run(fmt.Sprint(s, name, gap), func(t *testing.T) {
					z, y, u := random(n, 1), random(n, 2), random(n, 3)
					if name == "clipped" {
						u = nil
					}
					want := append([]float64(nil), y...)
					estimate := k.Reference(step, z, want, u)

					for _, threads := range []int{1, 3} {
						o := Operands{Z: matrix(s, gap, z), Y: matrix(s, gap, y), Estimates: [2]cpu.Matrix{matrix(s, gap, nil), matrix(s, 0, nil)}}
						if u != nil {
							o.Unconditional = matrix(s, gap, u)
						}
						pool := cpu.NewPool(threads, kernels)
						k.CPU(&step, o)(pool)
						pool.Close()
						near(t, "y", dense(o.Y), want)
						near(t, "x̂", dense(o.Estimates[0]), estimate)
						near(t, "second x̂", dense(o.Estimates[1]), estimate)
					}

					g := kerneltest.NewGPU(t, 3)
					on := func(values []float64) cuda.Operand {
						return g.Matrix(number.Float32, s.Images*s.Pixels, s.Channels, gap, values)
					}
					o := CUDAOperands{Z: on(z), Y: on(y), Estimates: [2]cuda.Operand{g.Empty(number.Float32, s.Images*s.Pixels, s.Channels, gap)}}
					if u != nil {
						o.Unconditional = on(u)
					}
					row := make([]byte, k.ParameterBytes())
					k.PutParameters(&step, row)
					g.Run(k.CUDA(o, g.Parameters(0, row))...)
					near(t, "y on the GPU", g.Values(o.Y), want)
					near(t, "x̂ on the GPU", g.Values(o.Estimates[0]), estimate)
				})
			}
		}
	}
}

// What the papers say of their methods.
func TestMethods(t *testing.T) {
	k := Kernel{draw.Shape{Images: 1, Pixels: 500, Channels: 1}}
	z, y, u := random(500, 1), random(500, 2), random(500, 3)
	before := deviation(y)
	k.Reference(Step{Guidance: 5, Rescale: 1}, z, y, u)
	if after := deviation(y); math.Abs(after-before) > 1e-9 {
		t.Errorf("rescaled by φ = 1, the deviation is %v, want %v", after, before)
	}
	x := k.Reference(Step{Percentile: 0.9, XZ: 1, XY: -3}, z, y, nil)
	edge := 0
	for _, v := range x {
		if math.Abs(v) > 1 {
			t.Fatalf("x̂ = %v", v)
		}
		if math.Abs(v) == 1 {
			edge++
		}
	}
	if edge != 50 {
		t.Errorf("%d of 500 values at the edge, want a tenth", edge)
	}
}

func TestAllocatesNothing(t *testing.T) {
	kernels, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(1, kernels)
	defer pool.Close()
	s := draw.Shape{Images: 2, Pixels: 64, Channels: 3}
	v := random(384, 1)
	step := steps["all"]
	run := Kernel{s}.CPU(&step, Operands{Z: matrix(s, 0, v), Y: matrix(s, 0, v), Unconditional: matrix(s, 0, v)})
	if n := testing.AllocsPerRun(10, func() { run(pool) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

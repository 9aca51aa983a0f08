package cast

import (
	"math"
	"testing"

	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

// Ties, the largest number that does not become infinite, subnormal numbers, NaN.
var hard = []float64{0, math.Copysign(0, -1), 1, 1.00390625, 1.01171875, -1.00390625, 3.3895e38, 3.4e38, -3.4e38, 1e-40, 1e-45, math.Inf(1), math.Inf(-1), math.NaN()}

func TestCUDA(t *testing.T) {
	for _, shape := range [][2]int{{1, 1}, {3, 97}, {40, 64}, {1, 4000}} {
		for _, gap := range []int{0, 4, 5} {
			rows, cols := shape[0], shape[1]
			values := make([]float64, rows*cols)
			for i := range values {
				values[i] = hard[i%len(hard)] * (1 + float64(i)/1e3)
			}
			g := kerneltest.NewGPU(t, 1)
			single := g.Matrix(number.Float32, rows, cols, gap, values)
			half := g.Empty(number.BFloat16, rows, cols, gap)
			back := g.Empty(number.Float32, rows, cols, gap)
			k := New(2).(cuda.Kernel)
			g.Run(k.CUDA(cuda.Launch{In: []cuda.Operand{single}, Out: half})...)
			g.Run(k.CUDA(cuda.Launch{In: []cuda.Operand{half}, Out: back})...)
			narrow, wide := g.Values(half), g.Values(back)
			for i, x := range values {
				want := number.Round(float32(x))
				for _, got := range []float32{narrow[i], wide[i]} {
					if math.Float32bits(got) != math.Float32bits(want) && (got == got || want == want) {
						t.Fatalf("%v, gap %d: %v becomes %v, want %v", shape, gap, x, got, want)
					}
				}
			}
		}
	}
}

// Launches move little more than their operands, whole sectors of them.
func TestTrafficCUDA(t *testing.T) {
	g := kerneltest.NewSimulator(t, 1)
	single := g.Matrix(number.Float32, 64, 96, 0, make([]float64, 64*96))
	half, back := g.Empty(number.BFloat16, 64, 96, 0), g.Empty(number.Float32, 64, 96, 0)
	k := New(2).(cuda.Kernel)
	kerneltest.Traffic(t, g.Run(k.CUDA(cuda.Launch{In: []cuda.Operand{single}, Out: half})...), single.Bytes()+half.Bytes(), 1.05)
	kerneltest.Traffic(t, g.Run(k.CUDA(cuda.Launch{In: []cuda.Operand{half}, Out: back})...), half.Bytes()+back.Bytes(), 1.05)
}

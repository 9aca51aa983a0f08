package cast

import (
	"math"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// launch of values to bfloat16, or of the same, rounded, back to float32.
func launch(shape tensor.Shape, values []float64, back bool) kerneltest.Launch {
	want := make([]float64, len(values))
	for i, x := range values {
		want[i] = float64(nearest(float32(x)))
	}
	single, bf16 := kerneltest.Operand{Shape: shape}, kerneltest.Operand{Shape: shape, Type: number.BFloat16}
	l := kerneltest.Launch{Kernel: New(len(shape)), Bits: true, Gap: 4}
	if back {
		bf16.Before, single.After = want, want
		l.In, l.Out = []kerneltest.Operand{bf16}, single
	} else {
		single.Before, bf16.After = values, want
		l.In, l.Out = []kerneltest.Operand{single}, bf16
	}
	return l
}

// Ties, the largest number that does not become infinite, subnormal numbers, NaN.
var hard = []float64{0, math.Copysign(0, -1), 1, 1.00390625, 1.01171875, -1.00390625, 3.3895e38, 3.4e38, -3.4e38, 1e-40, 1e-45, math.Inf(1), math.Inf(-1), math.NaN()}

// Ranges of channels of a wider tensor and whole ones, there and back.
func TestCast(t *testing.T) {
	used := map[string]bool{}
	for _, shape := range []tensor.Shape{{1, 1, 1, 1}, {1, 3, 1, 97}, {1, 40, 1, 64}, {1, 1, 1, 4000}, {4000}} {
		values := make([]float64, shape.TotalSize())
		for i := range values {
			values[i] = float64(float32(hard[i%len(hard)] * (1 + float64(i)/1e3)))
		}
		for _, back := range []bool{false, true} {
			for _, f := range kerneltest.CheckLaunch(t, launch(shape, values, back)) {
				used[f] = true
			}
		}
	}
	if len(used) != 4 {
		t.Errorf("tested %v", used)
	}
}

// On several tasks; many values are halfway between two bfloat16.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	values := make([]float64, 700*97)
	for i := range values {
		values[i] = float64(float32(i%1013-500) * 1.00390625e-3)
	}
	for _, back := range []bool{false, true} {
		kerneltest.CheckLaunchCPU(t, launch(tensor.Shape{1, 700, 1, 97}, values, back))
	}
}

// nearest is the bfloat16 next to x, found by looking at both neighbours; of two
// as near the one whose last bit is 0.
func nearest(x float32) float32 {
	low := math.Float32frombits(math.Float32bits(x) &^ 0xffff)
	high := math.Float32frombits(math.Float32bits(low) + 1<<16) // away from zero; infinity after the largest
	if x == low || x != x {
		return x
	}
	a, b := math.Abs(float64(x)-float64(low)), math.Abs(step(low)-math.Abs(float64(x)-float64(low)))
	if a < b || a == b && math.Float32bits(low)>>16&1 == 0 {
		return low
	}
	return high
}

// step is the distance between x and the next bfloat16 away from zero.
func step(x float32) float64 {
	_, exponent := math.Frexp(float64(x))
	return math.Ldexp(1, max(exponent-8, -133)) // subnormal numbers are equally far apart
}

func TestSameTypePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a conversion to the same type was bound")
		}
	}()
	o := kernels.Operand{Matrix: cpu.Matrix{Data: make([]float32, 4), Rows: 1, Cols: 4, Pitch: 4}}
	New(1).CPU(kernels.Launch{In: []kernels.Operand{o}, Out: o})
}

// Launches move little more than their operands, whole sectors of them.
func TestTrafficCUDA(t *testing.T) {
	for _, back := range []bool{false, true} {
		l := launch(tensor.Shape{1, 64, 1, 96}, make([]float64, 64*96), back)
		l.Moves = (4 + 2) * 64 * 96
		kerneltest.CheckLaunchCUDA(t, l)
	}
}

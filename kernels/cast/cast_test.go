package cast

import (
	"math"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// TestCast converts a range of channels of a wider tensor and back, and a whole one, on several threads.
func TestCast(t *testing.T) {
	t.Run("range", func(t *testing.T) { testCast(t, 101) })
	t.Run("whole", func(t *testing.T) { testCast(t, 97) })
}

func testCast(t *testing.T, pitch int) {
	const rows, cols = 700, 97
	shape := tensor.Shape{1, rows, 1, cols}
	float := func() kernels.Operand {
		return kernels.Operand{Matrix: cpu.Matrix{Data: make([]float32, rows*pitch), Rows: rows, Cols: cols, Pitch: pitch}, Shape: shape}
	}
	from, back := float(), float()
	half := kernels.Operand{
		Matrix: cpu.Matrix{Rows: rows, Cols: cols, Pitch: pitch}, Shape: shape, Type: number.BFloat16, Half: make([]uint16, rows*pitch),
	}
	for i := range from.Data {
		from.Data[i] = float32(i%1013-500) * 1.00390625e-3 // many are halfway between two bfloat16
	}
	from.Data[5], from.Data[6], from.Data[7] = float32(math.NaN()), float32(math.Inf(-1)), math.MaxFloat32
	guard := uint16(0xbeef)
	for r := range rows {
		for c := cols; c < pitch; c++ {
			half.Half[r*pitch+c] = guard
		}
	}
	k, err := cpu.Select("")
	if err != nil {
		t.Fatal(err)
	}
	pool := cpu.NewPool(3, k)
	defer pool.Close()
	New(4).CPU(kernels.Launch{In: []kernels.Operand{from}, Out: half})(pool)
	New(4).CPU(kernels.Launch{In: []kernels.Operand{half}, Out: back})(pool)
	for r := range rows {
		for c, x := range from.Row(r) {
			got := back.Row(r)[c]
			if want := nearest(x); got != want && !(x != x && got != got) {
				t.Fatalf("%g became %g, want %g", x, got, want)
			}
		}
		for c := cols; c < pitch; c++ {
			if half.Half[r*pitch+c] != guard || back.Data[r*pitch+c] != 0 {
				t.Fatal("something was written beside the tensor")
			}
		}
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
	return math.Ldexp(1, exponent-8)
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

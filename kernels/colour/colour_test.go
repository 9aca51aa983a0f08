package colour

import (
	"math"
	"testing"

	"fluxion/kernels/kerneltest"
	"fluxion/kernels/philox"

	"gorgonia.org/tensor"
)

func spectrum(height, width int, of func(k, l int) float64) Spectrum {
	s := Spectrum{Height: height, Width: width}
	for k := range height {
		for l := range width {
			s.Amplitude = append(s.Amplitude, float32(of(k, l)))
		}
	}
	return s
}

func TestColour(t *testing.T) {
	for _, size := range [][4]int{{1, 1, 1, 2}, {2, 5, 5, 3}, {3, 8, 4, 1}, {1, 20, 20, 1}} {
		k := New(spectrum(size[1], size[2], func(u, v int) float64 { return 2 / (1 + math.Hypot(float64(u), float64(v))) }), size[0], size[3])
		noise := make([]float32, k.images*k.values())
		philox.Normal(noise, 3, philox.Noise, 4, 0)
		before := make([]float64, len(noise))
		for i, e := range noise {
			before[i] = float64(e)
		}
		kerneltest.CheckLaunch(t, kerneltest.Launch{
			Kernel: k, Within: 2e-6, Bits: true,
			Out: kerneltest.Operand{Shape: tensor.Shape{size[0], size[1], size[2], size[3]}, Before: before, After: k.Reference(before)},
		})
	}
}

// The constant alone: K = I + c·11ᵀ is an offset that all pixels of a channel share.
func TestOffset(t *testing.T) {
	const side, c = 4, 0.7
	k := New(spectrum(side, side, func(u, v int) float64 {
		if u+v == 0 {
			return math.Sqrt(1 + c*side*side)
		}
		return 1
	}), 1, 1)
	columns := make([][]float64, side*side) // of K^½
	for i := range columns {
		unit := make([]float64, side*side)
		unit[i] = 1
		columns[i] = k.Reference(unit)
	}
	for i, a := range columns {
		for j, b := range columns {
			product, want := 0.0, c
			for n := range a {
				product += a[n] * b[n]
			}
			if i == j {
				want++
			}
			if math.Abs(product-want) > 1e-6 {
				t.Fatalf("covariance of pixels %d and %d is %g, want %g", i, j, product, want)
			}
		}
	}
}

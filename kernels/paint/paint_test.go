package paint

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/draw"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"
)

func random(n int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(rng.NormFloat64()))
	}
	return v
}

func single(v []float64) []float32 {
	s := make([]float32, len(v))
	for i, x := range v {
		s[i] = float32(x)
	}
	return s
}

// The CPU's kernel against the reference, and the GPU's bits against the CPU's.
func TestAgainstReference(t *testing.T) {
	portable, err := cpu.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []draw.Shape{{Images: 1, Pixels: 1, Channels: 1}, {Images: 3, Pixels: 35, Channels: 3}, {Images: 2, Pixels: 24 * 32, Channels: 3}} {
		k, n := Kernel{s}, s.Images*s.Values()
		for name, step := range map[string]Step{
			"start": {A: 0.3, S: 0.7, Active: true, Everywhere: true}, "kept": {A: 0.3, S: 0.7, Active: true},
			"last": {A: 1, Active: true, Pixels: true}, "idle": {A: 1, S: 1, Pixels: true},
		} {
			t.Run(fmt.Sprint(s, name), func(t *testing.T) {
				step.Seeds = draw.Seeds{Seed: 5, Images: []int64{9, 1 << 40, 2}[:s.Images]}
				z, picture, mask := random(n, 1), random(s.Values(), 2), make([]float64, s.Values())
				for i := range mask {
					mask[i] = float64(i%3) / 2
				}
				want := slices.Clone(z)
				k.Reference(step, want, picture, mask)

				pool := cpu.NewPool(2, portable)
				defer pool.Close()
				o := Operands{
					Z:       cpu.Matrix{Data: single(z), Rows: s.Images * s.Pixels, Cols: s.Channels, Pitch: s.Channels},
					Picture: single(picture), Mask: single(mask), Pixels: make([]byte, n),
				}
				k.CPU(&step, o)(pool)
				for i, w := range want {
					if math.Abs(float64(o.Z.Data[i])-w) > 1e-6*math.Max(1, math.Abs(w)) {
						t.Fatalf("value %d is %v, want %v", i, o.Z.Data[i], w)
					}
					if pixel := math.Min(math.Max(127.5*(w+1), 0), 255); step.Pixels && step.Active && math.Abs(float64(o.Pixels[i])-pixel) > 0.51 {
						t.Fatalf("pixel %d is %d, want %v", i, o.Pixels[i], pixel)
					}
				}

				for _, gap := range []int{0, 5} {
					g := kerneltest.NewGPU(t, 3)
					device := CUDAOperands{
						Z: g.Matrix(number.Float32, s.Images*s.Pixels, s.Channels, gap, z), Second: g.Matrix(number.Float32, s.Images*s.Pixels, s.Channels, gap, z),
						Picture: g.Vector(number.Float32, picture).Address, Mask: g.Vector(number.Float32, mask).Address, Pixels: g.Bytes(make([]byte, n)),
					}
					row := make([]byte, k.ParameterBytes())
					k.PutParameters(&step, row)
					g.Run(k.CUDA(device, g.Parameters(0, row))...)
					for _, m := range []cuda.Operand{device.Z, device.Second} {
						if !slices.Equal(g.Values(m), o.Z.Data) {
							t.Error("the GPU's bits differ from the CPU's")
						}
					}
					if !slices.Equal(g.Read(device.Pixels, n), o.Pixels) {
						t.Error("the GPU's pixels differ from the CPU's")
					}
				}
			})
		}
	}
}

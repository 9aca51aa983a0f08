package conv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// TestWinogradError: at the sizes of real networks, with activations that are
// not centred, Winograd's sums stay within the budget of plain ones.
func TestWinogradError(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, c := range []struct {
		n, side, cin, cout int
		o                  Options
	}{{1, 8, 256, 128, Same(3)}, {7, 12, 32, 64, Same(3)}, {1, 8, 256, 128, upsampling}, {7, 12, 32, 64, upsampling}} {
		o := c.o
		rng := rand.New(rand.NewPCG(1, 2))
		random := func(mean float64, shape ...int) kernels.Array {
			a := kernels.NewArray(shape...)
			for i := range a.Data {
				a.Data[i] = float64(float32(mean + rng.NormFloat64()))
			}
			return a
		}
		side := c.side // of the image as it lies
		if o.upsampled {
			side /= 2
		}
		x, w, b := random(0.5, c.n, side, side, c.cin), random(0, 3, 3, c.cin, c.cout), random(0, c.cout)
		dy := random(0, c.n, c.side, c.side, c.cout)
		for _, launch := range []struct {
			kernel kernels.Kernel
			in     []kernels.Array
			want   kernels.Array
		}{
			{newForward(o, w.Shape), []kernels.Array{x, w, b}, reference(o, x, w, b)},
			{newInputGrad(o, x.Shape), []kernels.Array{dy, w}, referenceInputGrad(o, dy, w, side, side)},
			{newWeightGrad(o, w.Shape), []kernels.Array{x, dy}, referenceWeightGrad(o, x, dy, 3, 3)},
		} {
			t.Run(fmt.Sprint(launch.kernel, c), func(t *testing.T) {
				if e := worstError(t, launch.kernel, launch.in, launch.want); !(e <= kerneltest.Budget) {
					t.Errorf("relative error %.2g, budget %g", e, kerneltest.Budget)
				} else {
					t.Logf("relative error %.2g", e)
				}
			})
		}
	}
}

// TestWinogradBF16Error: transforms rounded with feedback stay within the budget of
// bfloat16, whatever the activations are like.
func TestWinogradBF16Error(t *testing.T) {
	wantBF16(t)
	const n, side, cin, cout, budget = 2, 8, 128, 64, 4e-3
	silu := func(x float64) float64 { return x / (1 + math.Exp(-x)) }
	for _, c := range []struct {
		name       string
		activation func(x float64) float64
		smooth     bool // neighbours are alike
	}{
		{"normal", func(x float64) float64 { return x }, false},
		{"silu", silu, false},
		{"smooth silu", silu, true},
		{"offset 1", func(x float64) float64 { return 1 + x }, false},
		{"offset 30", func(x float64) float64 { return 30 + x }, false},
		{"offset 1000", func(x float64) float64 { return 1000 + x }, true},
	} {
		rng := rand.New(rand.NewPCG(3, 4))
		random := func(typ number.Type, of func(i int) float64, shape ...int) kernels.Array {
			a := kernels.NewArray(shape...)
			for i := range a.Data {
				x := float32(of(i))
				if typ == number.BFloat16 {
					x = number.Round(x)
				}
				a.Data[i] = float64(x)
			}
			return a
		}
		plain := func(int) float64 { return rng.NormFloat64() }
		pixels := kernels.NewArray(n, side, side, cin)
		for i := range pixels.Data {
			pixels.Data[i] = rng.NormFloat64()
			if before := i - cin; c.smooth && before >= 0 {
				pixels.Data[i] = .8*pixels.Data[before] + .6*pixels.Data[i]
			}
		}
		x := random(number.BFloat16, func(i int) float64 { return c.activation(pixels.Data[i]) }, n, side, side, cin)
		w, b := random(number.Float32, plain, 3, 3, cin, cout), random(number.Float32, plain, cout)
		dy := random(number.BFloat16, func(i int) float64 { return c.activation(pixels.Data[i]) }, n, side, side, cout)
		for _, launch := range []struct {
			kernel interface {
				kernels.Kernel
				kernels.NativeProduct
			}
			in   []kernels.Array
			want kernels.Array
		}{
			{newForward(Same(3), w.Shape), []kernels.Array{x, w, b}, reference(Same(3), x, w, b)},
			{newInputGrad(Same(3), x.Shape), []kernels.Array{dy, w}, referenceInputGrad(Same(3), dy, w, side, side)},
		} {
			for _, name := range cpu.Names() {
				k, err := cpu.Select(name)
				if err != nil {
					t.Fatal(err)
				}
				if k.BF16 == nil || k.BF16.Squares == nil {
					continue
				}
				l := kernels.Launch{Out: rounded(launch.want), Threads: 1}
				var shapes []tensor.Shape
				for i, a := range launch.in {
					shapes = append(shapes, a.Shape)
					if i == 0 {
						l.In = append(l.In, rounded(a))
					} else {
						l.In = append(l.In, single(a))
					}
				}
				l.Scratch = make([]float32, launch.kernel.BFloat16Scratch(shapes, launch.want.Shape, 1))
				launch.kernel.CPU(l)(cpu.NewPool(1, k))
				diff, norm := 0.0, 0.0
				for i, y := range launch.want.Data {
					d := float64(number.Widen(l.Out.BF16[i])) - y
					diff, norm = diff+d*d, norm+y*y
				}
				e := math.Sqrt(diff / norm)
				t.Logf("%v on %s, %s: relative error %.2g", launch.kernel, c.name, name, e)
				if !(e <= budget) {
					t.Errorf("%v on %s, %s: relative error %.2g, budget %g", launch.kernel, c.name, name, e, budget)
				}
			}
		}
	}
}

// wantBF16 says that a test was not run where no instruction set transforms squares of bfloat16.
func wantBF16(t *testing.T) {
	for _, name := range cpu.Names() {
		if k, err := cpu.Select(name); err == nil && k.BF16 != nil && k.BF16.Squares != nil {
			return
		}
	}
	t.Skip("no instruction set of this processor transforms squares of bfloat16")
}

// rounded is an array in bfloat16.
func rounded(a kernels.Array) kernels.Operand {
	o := single(a)
	o.Type, o.BF16, o.Data = number.BFloat16, make([]uint16, len(o.Data)), nil
	for i, x := range a.Data {
		o.BF16[i] = number.Narrow(float32(x))
	}
	return o
}

// worstError runs a kernel with each instruction set.
func worstError(t *testing.T, kernel kernels.Kernel, in []kernels.Array, want kernels.Array) float64 {
	worst := 0.0
	for _, name := range cpu.Names() {
		k, err := cpu.Select(name)
		if err != nil {
			t.Fatal(err)
		}
		pool := cpu.NewPool(2, k)
		l := kernels.Launch{Out: single(kernels.NewArray(want.Shape...)), Threads: 2}
		var shapes []tensor.Shape
		for _, a := range in {
			l.In, shapes = append(l.In, single(a)), append(shapes, a.Shape)
		}
		l.Scratch = make([]float32, kernel.Scratch(shapes, want.Shape, 2))
		kernel.CPU(l)(pool)
		pool.Close()
		diff, norm := 0.0, 0.0
		for i, y := range want.Data {
			d := float64(l.Out.Data[i]) - y
			diff, norm = diff+d*d, norm+y*y
		}
		worst = max(worst, math.Sqrt(diff/norm))
	}
	return worst
}

// single is an array in float32, with readable memory behind it.
func single(a kernels.Array) kernels.Operand {
	cols := a.Shape[len(a.Shape)-1]
	data := make([]float32, len(a.Data)+64)
	for i, x := range a.Data {
		data[i] = float32(x)
	}
	return kernels.Operand{Matrix: cpu.Matrix{Data: data, Rows: len(a.Data) / cols, Cols: cols, Pitch: cols}, Shape: a.Shape}
}

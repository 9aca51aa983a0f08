package conv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/kerneltest"

	"gorgonia.org/tensor"
)

// TestWinogradError: at the sizes of real networks, with activations that are
// not centred, Winograd's sums stay within the budget of plain ones.
func TestWinogradError(t *testing.T) {
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

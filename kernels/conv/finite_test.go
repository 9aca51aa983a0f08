package conv

import (
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// TestNotFinite: what one pixel that is not finite has a share in is not finite
// either, however operands are transformed and rounded, and other images are not
// touched: training leaves out a step by that.
func TestNotFinite(t *testing.T) {
	wantBF16(t)
	const n, side, channels, y, x, c = 2, 8, 32, 3, 4, 5
	const place = (y*side+x)*channels + c
	rng := rand.New(rand.NewPCG(5, 6))
	random := func(shape ...int) kernels.Array {
		a := kernels.NewArray(shape...)
		for i := range a.Data {
			a.Data[i] = rng.NormFloat64()
		}
		return a
	}
	image, weights, bias := random(n, side, side, channels), random(3, 3, channels, channels), random(channels)
	near := func(i int) (meets, same bool) { // of an element of the result: whether it reads the pixel; its image
		at := i / channels % (side * side)
		dy, dx := at/side-y, at%side-x
		same = i < side*side*channels
		return same && dy*dy <= 1 && dx*dx <= 1, same
	}
	of := func(i int) (meets, same bool) { // of a weight: whether it multiplies the channel
		same = i/channels%channels == c
		return same, same
	}
	for _, launch := range []struct {
		kernel interface {
			kernels.Kernel
			kernels.NativeProduct
		}
		in    []kernels.Array
		out   []int
		reads func(i int) (meets, same bool)
	}{
		{newForward(Same(3), weights.Shape), []kernels.Array{image, weights, bias}, image.Shape, near},
		{newInputGrad(Same(3), image.Shape), []kernels.Array{image, weights}, image.Shape, near},
		{newWeightGrad(Same(3), weights.Shape), []kernels.Array{image, random(n, side, side, channels)}, weights.Shape, of},
	} {
		for _, bits := range []uint16{0x7f80, 0xff80, 0x7fc0, 0x7fff, 0xffff} {
			for _, name := range cpu.Names() {
				k, err := cpu.Select(name)
				if err != nil {
					t.Fatal(err)
				}
				if k.BF16 == nil || k.BF16.Squares == nil {
					continue
				}
				l := kernels.Launch{Out: single(kernels.NewArray(launch.out...)), Threads: 1}
				var shapes []tensor.Shape
				for i, a := range launch.in {
					shapes = append(shapes, a.Shape)
					if i == 0 || len(launch.out) == len(a.Shape) && a.Shape[0] == n {
						l.In = append(l.In, rounded(a))
					} else {
						l.In = append(l.In, single(a))
					}
				}
				l.In[0].BF16[place] = bits
				result := func(i int) float32 { return l.Out.Data[i] }
				if launch.out[0] == n {
					l.Out = rounded(kernels.NewArray(launch.out...))
					result = func(i int) float32 { return number.Widen(l.Out.BF16[i]) }
				}
				l.Scratch = make([]float32, launch.kernel.BFloat16Scratch(shapes, launch.out, 1))
				launch.kernel.CPU(l)(cpu.NewPool(1, k))
				for i := range tensor.Shape(launch.out).TotalSize() {
					r := float64(result(i))
					finite := !math.IsNaN(r) && !math.IsInf(r, 0)
					if meets, same := launch.reads(i); meets && finite || !same && !finite {
						t.Fatalf("%v, %s, pixel %#x: element %d is %v", launch.kernel, name, bits, i, r)
					}
				}
			}
		}
	}
}

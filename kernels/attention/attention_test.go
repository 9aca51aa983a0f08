package attention

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cpu/amx/amxtest"
	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestTiles has more queries and keys than a tile has rows, and than are streamed at a
// time, and heads of whole tiles and not.
func TestTiles(t *testing.T) {
	for _, c := range []struct{ n, h, w, heads, dim int }{{1, 5, 7, 2, 9}, {2, 4, 8, 1, 32}, {1, 17, 16, 1, 40}} {
		in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, 3*c.heads*c.dim)}
		kerneltest.CheckHalf(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Attention(in[0], c.heads) })
	}
}

// TestAMX is TestTiles on tiles, where need be on emulated ones.
func TestAMX(t *testing.T) { amxtest.Run(t, "^TestTiles$/^amx$") }

func TestAttention(t *testing.T) {
	for _, c := range []struct{ n, h, w, heads, dim int }{{2, 3, 3, 1, 4}, {1, 2, 5, 2, 3}, {1, 11, 10, 1, 2}, {2, 1, 1, 2, 5}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, 3*c.heads*c.dim)}
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Attention(in[0], c.heads) })
		})
	}
}

// TestSizes: heads that are a task with one thread and not with three, and heads that
// never are; one block of keys and several; tiles at whose edges rows and columns are
// missing; and heads of more channels than are summed at a time.
func TestSizes(t *testing.T) {
	for _, c := range []struct{ n, h, w, heads, dim int }{{1, 11, 15, 1, 40}, {1, 17, 16, 2, 17}, {3, 7, 14, 1, 8}, {1, 7, 14, 1, 700}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, 3*c.heads*c.dim)}
			kerneltest.CheckCPU(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Attention(in[0], c.heads) })
		})
	}
}

// TestLargeScores: scores of hundreds, the largest of which comes late, make
// probabilities of 1 and 0, not infinities. What float32 can tell of them is as much
// less exact as they are large.
func TestLargeScores(t *testing.T) {
	const pixels, dim, factor = 300, 8, 12
	rng := rand.New(rand.NewPCG(5, 6))
	qkv, dy := kernels.NewArray(1, pixels, 1, 3*dim), kernels.NewArray(1, pixels, 1, dim)
	for i := range qkv.Data {
		qkv.Data[i] = float64(float32(rng.NormFloat64()))
		if i%(3*dim) < 2*dim { // scores grow with the key
			qkv.Data[i] *= factor * float64(i/(3*dim)) / pixels
		}
	}
	for i := range dy.Data {
		dy.Data[i] = float64(float32(rng.NormFloat64()))
	}
	y := reference(qkv, 1)
	for _, name := range cpu.Names() {
		k, err := cpu.Select(name)
		if err != nil {
			t.Fatal(err)
		}
		check := func(kernel kernels.Kernel, want kernels.Array, in ...kernels.Array) {
			l := kernels.Launch{Threads: 2, Out: single(kernels.NewArray(want.Shape...))}
			var shapes []tensor.Shape
			for _, a := range in {
				l.In, shapes = append(l.In, single(a)), append(shapes, a.Shape)
			}
			l.Scratch = make([]float32, kernel.Scratch(shapes, want.Shape, l.Threads))
			p := cpu.NewPool(l.Threads, k)
			defer p.Close()
			kernel.CPU(l)(p)
			diff, norm := 0.0, 0.0
			for i, x := range want.Data {
				d := float64(l.Out.Data[i]) - x
				diff, norm = diff+d*d, norm+x*x
			}
			if e := math.Sqrt(diff / norm); !(e <= 1e-5) {
				t.Errorf("%s, %T: relative error %.2g", name, kernel, e)
			}
		}
		check(forward{heads: 1}, y, qkv)
		check(grad{heads: 1}, referenceGrad(qkv, dy, 1), qkv, dy, y)
	}
}

// single is an array as a float32 operand.
func single(a kernels.Array) kernels.Operand {
	cols := a.Shape[3]
	o := kernels.Operand{Shape: a.Shape, Matrix: cpu.Matrix{Rows: len(a.Data) / cols, Cols: cols, Pitch: cols}}
	o.Data = make([]float32, len(a.Data)+64)
	for i, x := range a.Data {
		o.Data[i] = float32(x)
	}
	return o
}

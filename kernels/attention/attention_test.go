package attention

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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
	cases := []struct{ n, h, w, heads, dim int }{{1, 5, 7, 2, 9}, {2, 4, 8, 1, 32}, {1, 17, 16, 1, 40}}
	if testing.Short() {
		cases = cases[:2]
	}
	for _, c := range cases {
		in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, 3*c.heads*c.dim)}
		kerneltest.CheckBF16(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Attention(in[0], c.heads) })
	}
}

// TestAMX is TestTiles on tiles, where need be on emulated ones.
func TestAMX(t *testing.T) { amxtest.Run(t, "^TestTiles$/^amx$") }

func TestAttention(t *testing.T) {
	cases := []struct{ n, h, w, heads, dim int }{{2, 3, 3, 1, 4}, {1, 2, 5, 2, 3}, {2, 1, 1, 2, 5}, {1, 11, 10, 1, 8}}
	if testing.Short() {
		cases = cases[:3]
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, 3*c.heads*c.dim)}
			kerneltest.Check(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Attention(in[0], c.heads) })
		})
	}
}

// TestSizes: heads that are a task with one thread and not with three, and with any;
// one block of keys and several; tiles at whose edges rows and columns are missing; and
// heads of more channels than are summed at a time.
func TestSizes(t *testing.T) {
	cases := []struct{ n, h, w, heads, dim int }{{3, 7, 14, 1, 8}, {1, 3, 5, 1, 700}, {1, 11, 15, 1, 40}, {1, 17, 16, 2, 17}}
	if testing.Short() {
		cases = cases[:2]
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			in := []kerneltest.Input{kerneltest.Shape(c.n, c.h, c.w, 3*c.heads*c.dim)}
			kerneltest.CheckCPU(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Attention(in[0], c.heads) })
		})
	}
}

// TestScratch: working memory does not grow with the image but for three numbers a
// query in the gradient.
func TestScratch(t *testing.T) {
	sizes := func(k interface {
		Scratch([]tensor.Shape, tensor.Shape, int) int
	}) (small, large int) {
		of := func(side int) int { return k.Scratch([]tensor.Shape{{1, side, side, 3 * 64}}, nil, 2) }
		return of(64), of(256)
	}
	if small, large := sizes(forward{heads: 1}); small != large || small > 1<<18 {
		t.Errorf("forward: %d floats for 64×64, %d for 256×256", small, large)
	}
	if small, large := sizes(grad{heads: 1}); large-small != 3*(256*256-64*64) || small > 1<<19 {
		t.Errorf("gradient: %d floats for 64×64, %d for 256×256", small, large)
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
	for _, name := range cpu.Names() {
		checkLaunches(t, name, qkv, dy, 1e-5)
	}
}

// TestLargeHeads: a head too large to be a task, of several blocks.
func TestLargeHeads(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	const pixels, dim = 290, 900
	rng := rand.New(rand.NewPCG(7, 8))
	qkv, dy := kernels.NewArray(1, pixels, 1, 3*dim), kernels.NewArray(1, pixels, 1, dim)
	for _, a := range []kernels.Array{qkv, dy} {
		for i := range a.Data {
			a.Data[i] = float64(float32(rng.NormFloat64()))
		}
	}
	if newSize(qkv.Shape, 1).smallHeads() {
		t.Fatal("it could be a task")
	}
	checkLaunches(t, cpu.Names()[0], qkv, dy, kerneltest.Budget)
}

// checkLaunches holds attention over one head, and its gradient, on an instruction set
// against the reference; 1 and 3 threads must give the same bits.
func checkLaunches(t *testing.T, set string, qkv, dy kernels.Array, budget float64) {
	t.Helper()
	k, err := cpu.Select(set)
	if err != nil {
		t.Fatal(err)
	}
	check := func(kernel kernels.Kernel, want kernels.Array, in ...kernels.Array) {
		t.Helper()
		var results [2][]float32
		for i, threads := range []int{1, 3} {
			l := kernels.Launch{Threads: threads, Out: single(kernels.NewArray(want.Shape...))}
			var shapes []tensor.Shape
			for _, a := range in {
				l.In, shapes = append(l.In, single(a)), append(shapes, a.Shape)
			}
			l.Scratch = make([]float32, kernel.Scratch(shapes, want.Shape, threads))
			p := cpu.NewPool(threads, k)
			kernel.CPU(l)(p)
			p.Close()
			results[i] = l.Out.Data
		}
		if !slices.Equal(results[0], results[1]) {
			t.Errorf("%s, %T: 1 and 3 threads give different bits", set, kernel)
		}
		diff, norm := 0.0, 0.0
		for i, x := range want.Data {
			d := float64(results[0][i]) - x
			diff, norm = diff+d*d, norm+x*x
		}
		if e := math.Sqrt(diff / norm); !(e <= budget) {
			t.Errorf("%s, %T: relative error %.2g, budget %g", set, kernel, e, budget)
		}
	}
	y := reference(qkv, 1)
	check(forward{heads: 1}, y, qkv)
	check(grad{heads: 1}, referenceGrad(qkv, dy, 1), qkv, dy, y)
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

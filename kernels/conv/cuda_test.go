package conv

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cuda"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// operation is the convolution or a gradient of it, with its operands.
type operation struct {
	name string
	op   gorgonia.Op
	in   []kernels.Array
	want kernels.Array
}

// operations draws operands of whole numbers from −4 to 4.
func operations(s size) []operation {
	rng := rand.New(rand.NewPCG(5, 6))
	whole := func(shape ...int) kernels.Array {
		a := kernels.NewArray(shape...)
		for i := range a.Data {
			a.Data[i] = float64(rng.IntN(9) - 4)
		}
		return a
	}
	x, w, b := whole(s.n, s.h, s.w, s.cin), whole(s.kh, s.kw, s.cin, s.cout), whole(s.cout)
	dy := whole(s.output()...)
	return []operation{
		{"forward", forwardOf(s.Options, w.Shape), []kernels.Array{x, w, b}, reference(s.Options, x, w, b)},
		{"inputGrad", inputGradOf(s.Options, x.Shape), []kernels.Array{dy, w}, referenceInputGrad(s.Options, dy, w, s.h, s.w)},
		{"weightGrad", weightGradOf(s.Options, w.Shape), []kernels.Array{x, dy}, referenceWeightGrad(s.Options, x, dy, s.kh, s.kw)},
	}
}

// launch places the operands as a plan of this precision does: images may have a
// gap between pixels, parameters have none.
func (o operation) launch(g *kerneltest.GPU, precision number.Type, gap int) cuda.Launch {
	roles := make([]kernels.Role, len(o.in))
	for i, a := range o.in {
		if len(a.Shape) == 4 {
			roles[i] = kernels.Activation
		}
	}
	types, out := kernels.TypesOf(o.op.(kernels.Kernel), precision, roles)
	place := func(shape tensor.Shape, of number.Type, parameter bool, values []float64) cuda.Operand {
		cols, between := shape[len(shape)-1], gap
		if parameter {
			between = 0
		}
		var m cuda.Operand
		if values == nil {
			m = g.Empty(of, shape.TotalSize()/cols, cols, between)
		} else {
			m = g.Matrix(of, shape.TotalSize()/cols, cols, between, values)
		}
		m.Shape = shape
		return m
	}
	var l cuda.Launch
	for i, a := range o.in {
		l.In = append(l.In, place(a.Shape, types[i], i > 0 && o.name != "weightGrad", a.Data))
	}
	l.Out = place(o.want.Shape, out, o.name == "weightGrad", nil)
	return l
}

// Sums of products of small whole numbers are exact in float32, in any order: the
// results have the reference's bits, or those of its nearest bf16.
func TestWholeNumbersAreExact(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	g := kerneltest.NewGPU(t, 1)
	shared := map[string]bool{} // operations, with precision, of which several blocks shared a sum
	for _, c := range []struct {
		n, h, w, cin, cout, side int
		o                        Options
	}{
		{2, 5, 3, 4, 17, 3, Same(3)},
		{1, 7, 9, 24, 40, 3, Same(3)},
		{1, 3, 5, 16, 136, 1, Same(1)},
		{2, 6, 6, 8, 72, 3, Options{Stride: 2, PadBottom: 1, PadRight: 1}},
		{1, 6, 5, 12, 8, 3, Options{Stride: 2, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}},
		{1, 5, 5, 8, 8, 1, Options{Stride: 2}},
		{1, 4, 4, 136, 64, 3, Same(3)},
		{1, 4, 4, 64, 136, 3, Same(3)},
		{1, 40, 32, 8, 8, 1, Same(1)},
		{1, 12, 12, 3, 64, 3, Same(3)},
		{1, 12, 12, 64, 3, 3, Same(3)},
		{1, 6, 5, 1, 9, 3, Same(3)},
		{2, 6, 5, 8, 1, 3, Same(3)},
		{1, 9, 4, 5, 6, 5, Options{Stride: 3, PadTop: 2, PadLeft: 1}},
		{1, 28, 14, 3, 17, 14, Options{Stride: 14}},
	} {
		s := mustSize(c.o, tensor.Shape{c.n, c.h, c.w, c.cin}, tensor.Shape{c.side, c.side, c.cin, c.cout})
		for _, o := range operations(s) {
			for _, precision := range []number.Type{number.Float32, number.BFloat16} {
				for _, gap := range []int{0, 8} {
					t.Logf("%+v %s in %v, gap %d", c, o.name, precision, gap)
					if len(o.check(t, g, precision, gap, cuda.Card{})) == 2 {
						shared[o.name+precision.String()] = true
					}
				}
			}
		}
	}
	if len(shared) != 6 {
		t.Errorf("blocks shared their sums in %v only: want all three operations in both precisions", shared)
	}
}

// check runs an operation as cut for a card, and returns what was launched.
func (o operation) check(t *testing.T, g *kerneltest.GPU, precision number.Type, gap int, card cuda.Card) []cuda.Call {
	t.Helper()
	k, l := o.op.(cuda.Kernel), o.launch(g, precision, gap)
	l.Card = card
	if n := k.CUDAScratch(l); n > 0 {
		l.Scratch = g.Alloc(n)
	}
	calls := k.CUDA(l)
	g.Run(calls...)
	got := g.Values(l.Out)
	for i, x := range o.want.Data {
		want := float32(x)
		if l.Out.Type == number.BFloat16 {
			want = number.Round(want)
		}
		if got[i] != want {
			t.Fatalf("element %d is %v, want %v", i, got[i], want)
		}
	}
	return calls
}

// On Hopper products are made by wgmma, of images whose rows fill boxes, and by mma.sync of others.
func TestWarpgroups(t *testing.T) {
	hopper, err := cuda.CardNamed("h100")
	if err != nil {
		t.Fatal(err)
	}
	hopper.Multiprocessors = 1 // there is work enough for it
	g := kerneltest.NewSimulator(t, 1)
	for _, c := range []struct {
		n, h, w, cin, cout, side int
		o                        Options
		groups                   int // calls of forward, gradient of the input, of the weights
	}{
		{2, 16, 8, 64, 128, 3, Same(3), 3},
		{1, 16, 32, 64, 128, 3, Same(3), 3},
		{1, 16, 16, 64, 128, 3, Same(3), 3},
		{1, 4, 64, 64, 128, 3, Same(3), 2},
		{2, 8, 8, 128, 136, 3, Same(3), 3},
		{2, 16, 16, 128, 256, 3, Options{Stride: 2, PadBottom: 1, PadRight: 1}, 5},
		{2, 12, 12, 128, 256, 1, Same(1), 3},
		{2, 12, 12, 64, 64, 3, Same(3), 0},
		{2, 16, 16, 8, 64, 3, Same(3), 0},
	} {
		s := mustSize(c.o, tensor.Shape{c.n, c.h, c.w, c.cin}, tensor.Shape{c.side, c.side, c.cin, c.cout})
		groups := 0
		for _, o := range operations(s) {
			for _, call := range o.check(t, g, number.BFloat16, 8, hopper) {
				if strings.Contains(call.Function, "wgmma") {
					groups++
				}
			}
		}
		if groups != c.groups {
			t.Errorf("%+v: %d launches by wgmma", c, groups)
		}
	}
}

// An image is the same, to the bit, alone and with others.
func TestImagesDoNotDependOnTheBatch(t *testing.T) {
	g := kerneltest.NewGPU(t, 1)
	for _, of := range []number.Type{number.Float32, number.BFloat16} {
		calls := imagesAlike(t, g, of, 4, 136, 64, cuda.Card{}) // few pixels, long sums
		if len(calls) != 2 {
			t.Fatalf("%v: %d launches, want shared sums", of, len(calls))
		}
	}
}

// So it is by wgmma, which few images need as well as many: the order of sums is its own.
func TestImagesByWarpgroups(t *testing.T) {
	hopper, err := cuda.CardNamed("h200")
	if err != nil {
		t.Fatal(err)
	}
	for size, function := range map[int]string{4: "gemm_nn_128x128_wgmma_bf16", 16: "gemm_nn_128x128_wgmma_tall_bf16"} {
		if calls := imagesAlike(t, kerneltest.NewSimulator(t, 1), number.BFloat16, size, 128, 128, hopper); calls[0].Function != function {
			t.Errorf("%d×%d pixels: %s, want %s", size, size, calls[0].Function, function)
		}
	}
}

// imagesAlike holds that an image is the same alone and with others; it returns the launches.
func imagesAlike(t *testing.T, g *kerneltest.GPU, of number.Type, size, cin, cout int, card cuda.Card) (calls []cuda.Call) {
	t.Helper()
	rng := rand.New(rand.NewPCG(15, 16))
	normal := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = rng.NormFloat64()
		}
		return v
	}
	x, w, b := normal(3*size*size*cin), normal(9*cin*cout), normal(cout)
	f := forwardCUDA{newForward(Same(3), tensor.Shape{3, 3, cin, cout})}
	var alone, together []float32
	for _, images := range []int{1, 3} {
		l := cuda.Launch{
			In:   []cuda.Operand{g.Matrix(of, images*size*size, cin, 0, x), g.Matrix(of, 9*cin, cout, 0, w), g.Vector(number.Float32, b)},
			Out:  g.Empty(of, images*size*size, cout, 0),
			Card: card,
		}
		l.In[0].Shape, l.In[1].Shape = tensor.Shape{images, size, size, cin}, tensor.Shape{3, 3, cin, cout}
		if n := f.CUDAScratch(l); n > 0 {
			l.Scratch = g.Alloc(n)
		}
		calls = f.CUDA(l)
		g.Run(calls...)
		alone, together = together, g.Values(l.Out)
	}
	if !slices.Equal(alone, together[:len(alone)]) {
		t.Errorf("%v: the first of three images is another than the same alone", of)
	}
	return calls
}

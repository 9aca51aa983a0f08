package inpaint

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/draw"
	"fluxion/kernels/kerneltest"
	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// The layout of a row is the one that inpaint.cu declares.
func TestRow(t *testing.T) { kerneltest.CheckRow(t, "inpaint.cu", "Row", Row{}) }

func random(n int, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(rng.NormFloat64()))
	}
	return v
}

func launch(o Options, r Row) kerneltest.Launch {
	r.Seed = 5
	k, n := New(o, &r, []int64{9, 1 << 40, 2}[:o.Images]), o.Images*o.Values()
	z, picture, mask := random(n, 1), random(o.Values(), 2), make([]float64, o.Values())
	for i := range mask {
		mask[i] = float64(i%3) / 2
	}
	want := slices.Clone(z)
	k.Reference(want, picture, mask)
	var pixels []float64
	if r.Pixels != 0 && r.Active != 0 {
		for _, w := range want {
			pixels = append(pixels, math.Min(math.Max(127.5*(w+1), 0), 255))
		}
	}
	if o.Guided { // the second half repeats the first before, too
		z, want = slices.Concat(z, z), slices.Concat(want, want)
	}
	s := o.Network(o.Guided)
	return kerneltest.Launch{
		Kernel: k, Within: 1e-6, Bits: true,
		Out: kerneltest.Operand{Shape: tensor.Shape{s.Images, s.Pixels, 1, s.Channels}, Before: z, After: want},
		In: []kerneltest.Operand{
			{Shape: tensor.Shape{len(picture)}, Before: picture}, {Shape: tensor.Shape{len(mask)}, Before: mask},
			{Shape: tensor.Shape{n}, Type: number.Uint8, Before: make([]float64, n), After: pixels},
		},
	}
}

func TestPaint(t *testing.T) {
	used := map[string]bool{}
	for _, s := range []draw.Shape{{Images: 1, Pixels: 1, Channels: 1}, {Images: 3, Pixels: 35, Channels: 3}, {Images: 2, Pixels: 24 * 32, Channels: 3}} {
		for name, r := range map[string]Row{
			"start": {A: 0.3, S: 0.7, Active: 1, Everywhere: 1}, "kept": {A: 0.3, S: 0.7, Active: 1},
			"last": {A: 1, Active: 1, Pixels: 1}, "idle": {A: 1, S: 1, Pixels: 1},
		} {
			for _, guided := range []bool{false, true} {
				t.Logf("%v %s, guided %v", s, name, guided)
				for _, f := range kerneltest.CheckLaunch(t, launch(Options{s, guided}, r)) {
					used[f] = true
				}
			}
		}
	}
	if len(used) != 2 {
		t.Errorf("tested %v", used)
	}
}

// TestKept: where the mask is 0 or 1 the picture or z is there as it is, whatever the other.
func TestKept(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	vector := func(before, after []float64) kerneltest.Operand {
		return kerneltest.Operand{Shape: tensor.Shape{len(before)}, Before: before, After: after}
	}
	z := vector([]float64{nan, 2, -inf, 3}, []float64{1, 2, 3, 1})
	bytes := vector(make([]float64, 4), []float64{255, 255, 255, 255})
	bytes.Type = number.Uint8
	for _, s := range []draw.Shape{{Images: 1, Pixels: 4, Channels: 1}, {Images: 1, Pixels: 1, Channels: 4}} {
		z.Shape = tensor.Shape{1, s.Pixels, 1, s.Channels}
		k := New(Options{Shape: s}, &Row{A: 1, Active: 1, Pixels: 1}, []int64{3})
		kerneltest.CheckLaunch(t, kerneltest.Launch{
			Kernel: k, Out: z, Bits: true,
			In: []kerneltest.Operand{vector([]float64{1, inf, 3, -1}, nil), vector([]float64{0, 1, 0, 0.5}, nil), bytes},
		})
	}
}

func TestCheck(t *testing.T) {
	s := draw.Shape{Images: 2, Pixels: 9, Channels: 3}
	operand := func(rows, cols int) kernels.Operand {
		return kernels.Operand{Matrix: cpu.Matrix{Data: make([]float32, rows*cols), Rows: rows, Cols: cols, Pitch: cols}}
	}
	with := func(z, picture, mask, pixels kernels.Operand) kernels.Launch {
		return kernels.Launch{Out: z, In: []kernels.Operand{picture, mask, pixels}}
	}
	z, image, pixels, short := operand(18, 3), operand(1, 27), operand(1, 54), operand(1, 3)
	k := New(Options{Shape: s}, &Row{}, []int64{1, 2})
	for want, err := range map[string]error{
		"z is a matrix":  k.Check(with(image, image, image, pixels)),
		"a picture of 3": k.Check(with(z, short, image, pixels)),
		"a mask of 3":    k.Check(with(z, image, short, pixels)),
		"3 bytes":        k.Check(with(z, image, image, short)),
		"of 0 images":    New(Options{Shape: s}, &Row{}, nil).Check(with(z, image, image, pixels)),
		"want 36 by 3":   New(Options{s, true}, &Row{}, []int64{1, 2}).Check(with(z, image, image, pixels)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := k.Check(with(z, image, image, pixels)); err != nil {
		t.Error(err)
	}
}

// TestManyImages: a batch of more images than a grid is high can be launched.
func TestManyImages(t *testing.T) {
	s := draw.Shape{Images: kerneltest.Many, Pixels: 1, Channels: 2}
	k := New(Options{Shape: s}, &Row{}, make([]int64, s.Images))
	kerneltest.CheckGrid(t, k, tensor.Shape{s.Images, 2}, tensor.Shape{2}, tensor.Shape{2}, tensor.Shape{2 * s.Images})
}

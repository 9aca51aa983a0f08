package magnitude

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"fluxion/kernels/kerneltest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

type example struct {
	name  string
	in    []kerneltest.Input
	build func(in []*gorgonia.Node) *gorgonia.Node
}

// operations of images of a shape.
func operations(shape ...int) []example {
	x, one := kerneltest.Shape(shape...), kerneltest.Input{Shape: tensor.Shape{1}, Fixed: []float64{-0.625}}
	perImage := kerneltest.Shape(shape[0], shape[len(shape)-1])
	list := []example{
		{"scale", []kerneltest.Input{x, perImage}, func(in []*gorgonia.Node) *gorgonia.Node { return Scale(in[0], in[1]) }},
		{"gain", []kerneltest.Input{x, one}, func(in []*gorgonia.Node) *gorgonia.Node { return Scale(in[0], in[1]) }},
		{"sum", []kerneltest.Input{x, x}, func(in []*gorgonia.Node) *gorgonia.Node { return Sum(in[0], in[1], 0.75, -0.5, math.Inf(1)) }},
		{"sum within limits", []kerneltest.Input{x, x}, func(in []*gorgonia.Node) *gorgonia.Node { return Sum(in[0], in[1], 0.75, 0.5, 1.25) }},
		{"pixel", []kerneltest.Input{x}, func(in []*gorgonia.Node) *gorgonia.Node { return Pixel(in[0], 1) }},
		{"fill", []kerneltest.Input{{Shape: x.Shape, Inert: true}}, func(in []*gorgonia.Node) *gorgonia.Node {
			return Fill(in[0], 0.5, append(shape[:len(shape)-1:len(shape)-1], 3)...)
		}},
	}
	if c := shape[len(shape)-1]; c%3 == 0 {
		list = append(list, example{"pixel in groups", []kerneltest.Input{x}, func(in []*gorgonia.Node) *gorgonia.Node { return Pixel(in[0], 3) }})
	}
	return list
}

func TestMagnitude(t *testing.T) {
	for _, shape := range [][]int{{2, 3, 4, 12}, {3, 7}} {
		for _, o := range operations(shape...) {
			t.Run(fmt.Sprint(o.name, shape), func(t *testing.T) { kerneltest.Check(t, o.in, o.build) })
		}
	}
	// Vectors and tiles of the CUDA kernels; several blocks of an image.
	for _, shape := range [][]int{{3, 6, 10, 72}, {2, 18, 16, 24}} {
		for _, o := range operations(shape...) {
			t.Run(fmt.Sprint(o.name, shape), func(t *testing.T) { kerneltest.CheckKernels(t, o.in, o.build) })
		}
	}
}

func TestWeight(t *testing.T) {
	for _, c := range []struct {
		shape   []int
		counted int
	}{{[]int{3, 3, 2, 5}, 18}, {[]int{5, 4}, 4}, {[]int{3, 3}, 2}, {[]int{70, 100}, 69}} {
		t.Run(fmt.Sprint(c.shape), func(t *testing.T) {
			check := kerneltest.Check
			if c.shape[0] > 10 {
				check = kerneltest.CheckKernels
			}
			check(t, []kerneltest.Input{kerneltest.Shape(c.shape...)}, func(in []*gorgonia.Node) *gorgonia.Node { return Weight(in[0], 0.375, c.counted) })
		})
	}
}

// TestSizes: what comes out has the size that the paper wants, and what has none stays.
func TestSizes(t *testing.T) {
	factor, slope := inverse(0, 3)
	if factor != 1/Epsilon || slope != 0 {
		t.Errorf("of zeros: %v, %v", factor, slope)
	}
	for _, size := range []float64{1e-3, 1, 50} {
		factor, _ := inverse(7*size*size, 7)
		if d := math.Abs(factor*size - size/(size+1e-4)); d > 1e-15 {
			t.Errorf("numbers of size %g become those of size %g", size, factor*size)
		}
	}
}

// forcedLaunch is of two matrices among other weights.
func forcedLaunch() kerneltest.Launch {
	matrices := []Matrix{{16, 9, 5, 9}, {64, 40, 70, 39}}
	rng := rand.New(rand.NewPCG(1, 2))
	before := make([]float64, 64+40*70+16)
	for i := range before {
		before[i] = float64(float32(3 * rng.NormFloat64()))
	}
	after := append([]float64(nil), before...)
	for _, m := range matrices {
		for c := range m.Columns {
			squares := 0.0
			for r := range m.Counted {
				squares += before[m.Offset+r*m.Columns+c] * before[m.Offset+r*m.Columns+c]
			}
			for r := range m.Rows {
				after[m.Offset+r*m.Columns+c] /= 1e-4 + math.Sqrt(squares/float64(m.Counted))
			}
		}
	}
	return kerneltest.Launch{
		Kernel: Forced(matrices), Within: 1e-6, Out: kerneltest.Operand{Shape: tensor.Shape{len(before)}, Before: before, After: after},
	}
}

func TestForced(t *testing.T) { kerneltest.CheckLaunch(t, forcedLaunch()) }

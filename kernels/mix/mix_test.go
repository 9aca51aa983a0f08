package mix

import (
	"math"
	"testing"

	"fluxion/kernels/kerneltest"
	"fluxion/kernels/loss"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// coefficients of three images: ordinary ones, none, and large ones that make most
// results too large for a limit.
func coefficients(terms int) kerneltest.Input {
	all := []float64{1, -0.8, 0.3, 2, 0, 0, 0, 0, 40, 0, -30, 7}
	var used []float64
	for i, c := range all {
		if i%4 < terms {
			used = append(used, c)
		}
	}
	return kerneltest.Input{Shape: tensor.Shape{3, terms}, Fixed: used, Inert: true}
}

func TestImages(t *testing.T) {
	for terms := 1; terms <= MaxTerms; terms++ {
		mixed := func(o Options) func(in []*gorgonia.Node) *gorgonia.Node {
			return func(in []*gorgonia.Node) *gorgonia.Node { return Images(o, in[terms], in[:terms]...) }
		}
		for _, shape := range []tensor.Shape{{3, 2, 2, 5}, {3, 7}, {3, 16, 24, 3}, {3, 1, 1, 1}} {
			for _, inert := range []bool{false, true} {
				var in []kerneltest.Input
				for range terms {
					in = append(in, kerneltest.Input{Shape: shape, Inert: inert})
				}
				in = append(in, coefficients(terms))
				switch {
				case inert:
					kerneltest.CheckKernels(t, in, mixed(Options{Clip: 1}))
				case shape.TotalSize() < 100:
					kerneltest.Check(t, in, mixed(Options{}))
				default:
					kerneltest.CheckKernels(t, in, mixed(Options{}))
				}
			}
		}
	}
}

// The CPU and a GPU add in the same order, to the bit.
func TestBits(t *testing.T) {
	for terms := 1; terms <= MaxTerms; terms++ {
		c := coefficients(terms)
		shape := tensor.Shape{3, 5, 4, 3}
		out := kerneltest.Operand{Shape: shape}
		var in []kerneltest.Operand
		var values []gorgonia.Value
		for k := range terms {
			x := kerneltest.Operand{Shape: shape}
			for i := range shape.TotalSize() {
				x.Before = append(x.Before, float64(float32(math.Sin(float64(7*i+k)))))
			}
			in, values = append(in, x), append(values, tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x.Before)))
		}
		k := newOp(Options{Clip: 2}, 4, 0, terms)
		want, err := k.Do(append(values, tensor.New(tensor.WithShape(c.Shape...), tensor.WithBacking(c.Fixed)))...)
		if err != nil {
			t.Fatal(err)
		}
		out.After = want.Data().([]float64)
		in = append(in, kerneltest.Operand{Shape: c.Shape, Before: c.Fixed})
		kerneltest.CheckLaunch(t, kerneltest.Launch{Kernel: k, In: in, Out: out, Within: 3e-6, Bits: true, Gap: 4})
	}
}

// TestRange: results lie within the limit, and what has no coefficient counts for
// nothing even where it is no number.
func TestRange(t *testing.T) {
	n := func(v []float64, shape ...int) gorgonia.Value {
		return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))
	}
	nan := math.NaN()
	x := n([]float64{1, 2, 3, 0.5, nan, nan}, 3, 1, 2, 1)
	y := n([]float64{nan, math.Inf(1), -4, 0.25, 2, 0.5}, 3, 1, 2, 1)
	out, err := newOp(Options{Clip: 1}, 4, 0, 2).Do(x, y, n([]float64{0, 0, 1, 1, 0, -1}, 3, 2))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0, 0, -1, 0.75, -1, -0.5} {
		if got := out.Data().([]float64)[i]; got != want {
			t.Errorf("value %d is %v, want %v", i, got, want)
		}
	}
}

func node(g *gorgonia.ExprGraph, name string, shape ...int) *gorgonia.Node {
	return gorgonia.NewTensor(g, tensor.Float64, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
}

// TestDetached: what a limited or detached mix was made from learns nothing by way of it.
func TestDetached(t *testing.T) {
	for _, o := range []Options{{Clip: 1}, {Detached: true}} {
		g := gorgonia.NewGraph()
		y := node(g, "y", 1, 2, 2, 1)
		x := Images(o, node(g, "coefficients", 1, 2), node(g, "z", 1, 2, 2, 1), y)
		if grads, err := gorgonia.Grad(loss.MSE(x, node(g, "target", 1, 2, 2, 1), node(g, "weight", 1)), y); err == nil {
			t.Errorf("%+v: there are gradients: %v", o, grads)
		}
	}
}

// What does not fit is refused where the graph is built.
func TestRefuses(t *testing.T) {
	for name, build := range map[string]func(g *gorgonia.ExprGraph){
		"shapes": func(g *gorgonia.ExprGraph) {
			Images(Options{}, node(g, "c", 2, 2), node(g, "x", 2, 3), node(g, "y", 2, 4))
		},
		"coefficients": func(g *gorgonia.ExprGraph) {
			Images(Options{}, node(g, "c", 2, 1), node(g, "x", 2, 3), node(g, "y", 2, 3))
		},
		"images":  func(g *gorgonia.ExprGraph) { Images(Options{}, node(g, "c", 3, 1), node(g, "x", 2, 3)) },
		"nothing": func(g *gorgonia.ExprGraph) { Images(Options{}, node(g, "c", 2, 1)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no refusal", name)
				}
			}()
			build(gorgonia.NewGraph())
		}()
	}
}

// Launches move little more than their operands, whole sectors of them.
func TestTrafficCUDA(t *testing.T) {
	image := kerneltest.Shape(4, 32, 32, 3)
	in := []kerneltest.Input{image, image, image, {Shape: tensor.Shape{4, 3}, Inert: true}}
	kerneltest.CheckTraffic(t, in, func(in []*gorgonia.Node) *gorgonia.Node { return Images(Options{}, in[3], in[:3]...) })
}

// TestManyImages: a batch of more images than a grid is high can be launched.
func TestManyImages(t *testing.T) {
	images := tensor.Shape{kerneltest.Many, 2}
	kerneltest.CheckGrid(t, newOp(Options{}, 2, 0, 1), images, images, tensor.Shape{kerneltest.Many, 1})
}

// Package conv is the two-dimensional convolution of NHWC images with HWIO
// weights, with its gradients. The kernels are implicit matrix products, which read the
// images in place, and Winograd's for 3×3.
package conv

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/reduce"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Options of a convolution. Padding is zeros, in pixels.
type Options struct {
	Stride                               int
	PadTop, PadLeft, PadBottom, PadRight int

	upsampled bool // see upsampled.go
}

// Same is the padding that keeps the size of an image under a kernel of this odd side.
func Same(side int) Options {
	p := side / 2
	return Options{Stride: 1, PadTop: p, PadLeft: p, PadBottom: p, PadRight: p}
}

// Conv2D convolves x (N,H,W,Cin) with w (KH,KW,Cin,Cout) and adds b (Cout).
func Conv2D(x, w, b *gorgonia.Node, o Options) *gorgonia.Node {
	return kernels.Apply(forwardOf(o, w.Shape()), x, w, b)
}

// size is one convolution with all its dimensions: of the image as it is convolved.
type size struct {
	Options
	n, h, w, cin, oh, ow, cout, kh, kw int
}

func newSize(o Options, x, w tensor.Shape) (size, error) {
	if len(x) != 4 || len(w) != 4 || x[3] != w[2] {
		return size{}, fmt.Errorf("convolution of %v with weights %v: want (N,H,W,Cin) and (KH,KW,Cin,Cout)", x, w)
	}
	s := size{Options: o, n: x[0], h: x[1], w: x[2], cin: x[3], kh: w[0], kw: w[1], cout: w[3]}
	if o.upsampled {
		s.h, s.w = 2*s.h, 2*s.w
	}
	s.oh = (s.h+o.PadTop+o.PadBottom-s.kh)/o.Stride + 1
	s.ow = (s.w+o.PadLeft+o.PadRight-s.kw)/o.Stride + 1
	if s.oh < 1 || s.ow < 1 {
		return size{}, fmt.Errorf("convolution of %v with a %d×%d kernel leaves nothing", x, s.kh, s.kw)
	}
	return s, nil
}

func mustSize(o Options, x, w tensor.Shape) size {
	s, err := newSize(o, x, w)
	if err != nil {
		panic(err) // the graph was built with these shapes
	}
	return s
}

func (s size) output() tensor.Shape { return tensor.Shape{s.n, s.oh, s.ow, s.cout} }

func (s size) flops() int64 {
	return 2 * int64(s.n*s.oh*s.ow) * int64(s.kh*s.kw*s.cin) * int64(s.cout)
}

func (o Options) String() string {
	name := fmt.Sprintf("stride %d pad %d,%d,%d,%d", o.Stride, o.PadTop, o.PadLeft, o.PadBottom, o.PadRight)
	if o.upsampled {
		name += " upsampled"
	}
	return name
}

// forward is the convolution itself; inputs x, w, b.
type forward struct {
	kernels.Signature
	o Options
}

func newForward(o Options, w tensor.Shape) forward {
	return forward{kernels.Signature{Name: fmt.Sprintf("conv %dx%d %v", w[0], w[1], o), Ranks: []int{4, 4, 1}, Rank: 4}, o}
}

// Weights are w.
func (forward) Weights() []int { return []int{1} }

func (f forward) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	z, err := newSize(f.o, s[0], s[1])
	if err != nil {
		return nil, err
	}
	if s[2][0] != z.cout {
		return nil, fmt.Errorf("bias of %d for %d output channels", s[2][0], z.cout)
	}
	return z.output(), nil
}

func (f forward) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array { return reference(f.o, in[0], in[1], in[2]) }, v)
}

func (forward) DiffWRT(int) []bool { return []bool{true, true, true} }

func (f forward) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	x, w := in[0], in[1]
	dx := kernels.Apply(inputGradOf(f.o, x.Shape()), dy, w)
	dw := kernels.Apply(weightGradOf(f.o, w.Shape()), x, dy)
	return gorgonia.Nodes{dx, dw, reduce.Rows(dy)}, nil
}

// inputGrad is the gradient of the input; inputs dy, w.
type inputGrad struct {
	kernels.Signature
	o    Options
	h, w int
}

func newInputGrad(o Options, x tensor.Shape) inputGrad {
	name := fmt.Sprintf("conv.dx to %dx%d %v", x[1], x[2], o)
	return inputGrad{kernels.Signature{Name: name, Ranks: []int{4, 4}, Rank: 4}, o, x[1], x[2]}
}

func (g inputGrad) shape(dy, w tensor.Shape) tensor.Shape {
	return tensor.Shape{dy[0], g.h, g.w, w[2]}
}

// Weights are w.
func (inputGrad) Weights() []int { return []int{1} }

func (g inputGrad) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return g.shape(s[0], s[1]), nil
}

func (g inputGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		return referenceInputGrad(g.o, in[0], in[1], g.h, g.w)
	}, v)
}

// weightGrad is the gradient of the weights; inputs x, dy.
type weightGrad struct {
	kernels.Signature
	o      Options
	kh, kw int
}

func newWeightGrad(o Options, w tensor.Shape) weightGrad {
	name := fmt.Sprintf("conv.dw %dx%d %v", w[0], w[1], o)
	return weightGrad{kernels.Signature{Name: name, Ranks: []int{4, 4}, Rank: 4}, o, w[0], w[1]}
}

func (g weightGrad) shape(x, dy tensor.Shape) tensor.Shape {
	return tensor.Shape{g.kh, g.kw, x[3], dy[3]}
}

// Reduces activations to the gradient of weights.
func (weightGrad) Reduces() {}

func (g weightGrad) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return g.shape(s[0], s[1]), nil
}

func (g weightGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		return referenceWeightGrad(g.o, in[0], in[1], g.kh, g.kw)
	}, v)
}

package feature

import (
	"math"

	"fluxion/kernels/concat"
	"fluxion/kernels/conv"
	"fluxion/kernels/depthwise"
	"fluxion/kernels/linear"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/reduce"
	"fluxion/kernels/relu"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// builder adds layers. Each takes the name that files give it.
type builder struct {
	*nets.Scope
	outputs map[string]*gorgonia.Node
}

// out notes what the network says.
func (b *builder) out(name string, x *gorgonia.Node) {
	if b.outputs != nil {
		b.outputs[name] = x
	}
}

// window is a kernel of h×w pixels, every so many pixels, with so many zeros around.
type window struct{ h, w, stride, padH, padW int }

// square is a window of equal sides.
func square(side, stride, pad int) window { return window{side, side, stride, pad, pad} }

// conv is a convolution, a batch norm and ReLU up to a limit.
func (b *builder) conv(name string, x *gorgonia.Node, out int, k window, limit float64) *gorgonia.Node {
	return relu.Clip(b.linearConv(name, x, out, k, conv.Options{Stride: k.stride, PadTop: k.padH, PadBottom: k.padH, PadLeft: k.padW, PadRight: k.padW}), limit)
}

func (b *builder) linearConv(name string, x *gorgonia.Node, out int, k window, o conv.Options) *gorgonia.Node {
	w := b.Matrix(name+".weight", nets.Init{}, out, x.Shape()[3], k.h, k.w)
	return conv.Conv2D(x, w, b.Param(name+".bias", nets.Init{}, out), o)
}

// depthwise is a convolution of each channel, a batch norm and ReLU6.
func (b *builder) depthwise(name string, x *gorgonia.Node, side int, o depthwise.Options) *gorgonia.Node {
	c := x.Shape()[3]
	w := b.Matrix(name+".weight", nets.Init{}, c, 1, side, side)
	return relu.Clip(depthwise.Conv2D(x, w, b.Param(name+".bias", nets.Init{}, c), o), 6)
}

// mean over the pixels: (N,C).
func mean(x *gorgonia.Node) *gorgonia.Node {
	return pointwise.Affine(reduce.Pixels(x), 1/float64(x.Shape()[1]*x.Shape()[2]), 0)
}

// logits without their bias.
func (b *builder) logits(name string, x *gorgonia.Node, classes int) *gorgonia.Node {
	return linear.Linear(x, b.Matrix(name+".weight", nets.Init{}, classes, x.Shape()[1]), b.Param(name+".bias", nets.Init{}, classes))
}

func join(x ...*gorgonia.Node) *gorgonia.Node { return concat.Channels(x...) }

var unlimited = math.Inf(1)

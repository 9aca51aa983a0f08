package feature

import (
	"fmt"
	"math"

	"fluxion/kernels/conv"
	"fluxion/kernels/linear"
	"fluxion/kernels/pool"
	"fluxion/kernels/relu"
	"fluxion/kernels/reshape"
	"fluxion/nets"

	_ "embed"

	"gorgonia.org/gorgonia"
)

// glyphWeights are what scripts/glyphnet trained.
//
//go:embed glyph.safetensors
var glyphWeights []byte

// GlyphClasses are the digits and letters of the data set glyphs:all, and ten
// handwritten digits.
const GlyphClasses = 36 + 10

// glyph is a classifier of small characters. It is the one network that is trained in
// this tree, and whose weights are part of the program.
var glyph = Network{
	Name: "glyph", Summary: "a small classifier of characters, 32×32, part of the program: for glyphs and digits, its distances are no FID", Side: 32, Dim: 64, Classes: GlyphClasses,
	Outputs:  []string{Pooled, Logits},
	apply:    func(b *builder, x *gorgonia.Node) { glyphBuilder{b}.network(x) },
	files:    naming{plain: true},
	embedded: glyphWeights,
}

// glyphLayers are channels and stride of 3×3 convolutions. The last sees 25 pixels of 32.
var glyphLayers = [][2]int{{32, 1}, {48, 2}, {64, 2}, {64, 1}, {64, 1}}

type glyphBuilder struct{ *builder }

func (b glyphBuilder) network(x *gorgonia.Node) {
	for i, l := range glyphLayers {
		x = relu.ReLU(b.conv(fmt.Sprintf("conv%d", i+1), x, l[0], l[1]))
	}
	// The mean over all pixels, by an operator that has a gradient.
	side, channels := x.Shape()[1], x.Shape()[3]
	pooled := reshape.To(pool.Mean(x, pool.Options{Side: side, Stride: side}), x.Shape()[0], channels)
	b.out(Pooled, pooled)
	b.out(Logits, linear.Linear(pooled, b.Matrix("classes.weight", he(channels), GlyphClasses, channels), b.Param("classes.bias", nets.Init{}, GlyphClasses)))
}

func (b glyphBuilder) conv(name string, x *gorgonia.Node, out, stride int) *gorgonia.Node {
	in := x.Shape()[3]
	o := conv.Same(3)
	o.Stride = stride
	return conv.Conv2D(x, b.Matrix(name+".weight", he(9*in), out, in, 3, 3), b.Param(name+".bias", nets.Init{}, out), o)
}

// he is the start of weights of so many inputs before ReLU: variance 2/in (He et al., 2015).
func he(in int) nets.Init { return nets.Init{Uniform: float32(math.Sqrt(6 / float64(in)))} }

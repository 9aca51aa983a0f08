package feature

import (
	"fmt"
	"strings"

	"fluxion/kernels/conv"
	"fluxion/kernels/depthwise"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/relu"

	"gorgonia.org/gorgonia"
)

// lite0 is EfficientNet-lite0 (Tan and Le, 2019; without squeezing and with ReLU6),
// under the names of its conversion to PyTorch. It costs a fifteenth of Inception.
var lite0 = Network{
	Name: "lite0", Summary: "EfficientNet-lite0, 224×224: quick, its distances are no FID", Side: 224, Dim: 1280, Classes: 1000,
	Outputs: []string{Pooled, Logits},
	apply:   func(b *builder, x *gorgonia.Node) { liteBuilder{b}.network(x) },
	files:   naming{norms: liteNorms, epsilon: 1e-3, dropBias: "_fc"},
}

// liteStages are repeats, side of the kernel, stride, expansion and channels.
var liteStages = [][5]int{{1, 3, 1, 1, 16}, {2, 3, 2, 6, 24}, {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80}, {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320}}

type liteBuilder struct{ *builder }

// same is TensorFlow's padding, of which more lies below and to the right.
func same(size, side, stride int) (before, after int) {
	all := max(0, ((size+stride-1)/stride-1)*stride+side-size)
	return all / 2, all - all/2
}

func (b liteBuilder) conv(name string, x *gorgonia.Node, out, side, stride int) *gorgonia.Node {
	top, bottom := same(x.Shape()[1], side, stride)
	left, right := same(x.Shape()[2], side, stride)
	return b.linearConv(name, x, out, square(side, stride, 0), conv.Options{Stride: stride, PadTop: top, PadBottom: bottom, PadLeft: left, PadRight: right})
}

func (b liteBuilder) network(x *gorgonia.Node) {
	x = limited(b.conv("_conv_stem", x, 32, 3, 2))
	block := 0
	for _, s := range liteStages {
		for i := range s[0] {
			stride := 1
			if i == 0 {
				stride = s[2]
			}
			x = b.block(fmt.Sprintf("_blocks.%d.", block), x, s[1], stride, s[3], s[4])
			block++
		}
	}
	x = mean(limited(b.conv("_conv_head", x, 1280, 1, 1)))
	b.out(Pooled, x)
	b.out(Logits, b.logits("_fc", x, 1000))
}

// block is an inverted bottleneck.
func (b liteBuilder) block(name string, x *gorgonia.Node, side, stride, expand, out int) *gorgonia.Node {
	h, in := x, x.Shape()[3]
	if expand > 1 {
		h = limited(b.conv(name+"_expand_conv", h, in*expand, 1, 1))
	}
	top, bottom := same(h.Shape()[1], side, stride)
	left, right := same(h.Shape()[2], side, stride)
	h = b.depthwise(name+"_depthwise_conv", h, side, depthwise.Options{Stride: stride, PadTop: top, PadBottom: bottom, PadLeft: left, PadRight: right})
	h = b.conv(name+"_project_conv", h, out, 1, 1)
	if stride == 1 && in == out {
		return pointwise.Add(x, h)
	}
	return h
}

// liteNorms is the name of the batch norm behind a convolution.
func liteNorms(layer string) string {
	for _, names := range [][2]string{{"_conv_stem", "_bn0"}, {"_conv_head", "_bn1"}, {"_expand_conv", "_bn0"}, {"_depthwise_conv", "_bn1"}, {"_project_conv", "_bn2"}} {
		if block, ok := strings.CutSuffix(layer, names[0]); ok {
			return block + names[1]
		}
	}
	return layer
}

// limited is ReLU6.
func limited(x *gorgonia.Node) *gorgonia.Node { return relu.Clip(x, 6) }

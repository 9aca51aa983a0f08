package feature

import (
	"fmt"

	"fluxion/kernels/pool"

	"gorgonia.org/gorgonia"
)

// inception is the network of the FID: Inception v3 (Szegedy et al., 2016) as it was
// released on 2015-12-05 for TensorFlow, under the names of its conversions to
// PyTorch. It differs from torchvision's: means over windows count real pixels alone,
// the last block takes the largest value, and there are 1008 classes.
var inception = Network{
	Name: "inception", Summary: "Inception of 2015-12-05, 299×299: FID, KID, Inception Score", Side: 299, Dim: 2048, Classes: 1008,
	Outputs: []string{Pooled, Logits, Spatial},
	apply:   func(b *builder, x *gorgonia.Node) { inceptionBuilder{b}.network(x) },
	files:   naming{conv: ".conv", norm: ".bn", epsilon: 1e-3, dropBias: "fc"},
}

type inceptionBuilder struct{ *builder }

func (b inceptionBuilder) conv(name string, x *gorgonia.Node, out int, k window) *gorgonia.Node {
	return b.builder.conv(name, x, out, k, unlimited)
}

// Kernels by their side; the long ones are as wide or as high.
var (
	k1, k3, k5 = square(1, 1, 0), square(3, 1, 1), square(5, 1, 2)
	half       = square(3, 2, 0)
	wide7      = window{1, 7, 1, 0, 3}
	high7      = window{7, 1, 1, 3, 0}
	wide3      = window{1, 3, 1, 0, 1}
	high3      = window{3, 1, 1, 1, 0}
)

var (
	around  = pool.Options{Side: 3, Stride: 1, Pad: 1}
	halving = pool.Options{Side: 3, Stride: 2}
)

func (b inceptionBuilder) network(x *gorgonia.Node) {
	x = b.conv("Conv2d_1a_3x3", x, 32, half)
	x = b.conv("Conv2d_2a_3x3", x, 32, square(3, 1, 0))
	x = b.conv("Conv2d_2b_3x3", x, 64, k3)
	x = pool.Max(x, halving)
	x = b.conv("Conv2d_3b_1x1", x, 80, k1)
	x = b.conv("Conv2d_4a_3x3", x, 192, square(3, 1, 0))
	x = pool.Max(x, halving)
	for i, pooled := range []int{32, 64, 64} {
		x = b.mixedA(fmt.Sprintf("Mixed_5%c.", 'b'+i), x, pooled)
	}
	x = b.mixedB("Mixed_6a.", x)
	for i, c7 := range []int{128, 160, 160, 192} {
		x = b.mixedC(fmt.Sprintf("Mixed_6%c.", 'b'+i), x, c7)
	}
	x = b.mixedD("Mixed_7a.", x)
	x = b.mixedE("Mixed_7b.", x, pool.Mean)
	x = b.mixedE("Mixed_7c.", x, pool.Max)
	x = mean(x)
	b.out(Pooled, x)
	b.out(Logits, b.logits("fc", x, 1008))
}

func (b inceptionBuilder) mixedA(name string, x *gorgonia.Node, pooled int) *gorgonia.Node {
	one := b.conv(name+"branch1x1", x, 64, k1)
	five := b.conv(name+"branch5x5_2", b.conv(name+"branch5x5_1", x, 48, k1), 64, k5)
	three := b.conv(name+"branch3x3dbl_1", x, 64, k1)
	three = b.conv(name+"branch3x3dbl_2", three, 96, k3)
	three = b.conv(name+"branch3x3dbl_3", three, 96, k3)
	return join(one, five, three, b.conv(name+"branch_pool", pool.Mean(x, around), pooled, k1))
}

func (b inceptionBuilder) mixedB(name string, x *gorgonia.Node) *gorgonia.Node {
	three := b.conv(name+"branch3x3dbl_1", x, 64, k1)
	three = b.conv(name+"branch3x3dbl_2", three, 96, k3)
	three = b.conv(name+"branch3x3dbl_3", three, 96, half)
	return join(b.conv(name+"branch3x3", x, 384, half), three, pool.Max(x, halving))
}

func (b inceptionBuilder) mixedC(name string, x *gorgonia.Node, c int) *gorgonia.Node {
	one := b.conv(name+"branch1x1", x, 192, k1)
	if name == "Mixed_6d." {
		b.out(Spatial, one)
	}
	seven := b.conv(name+"branch7x7_1", x, c, k1)
	seven = b.conv(name+"branch7x7_2", seven, c, wide7)
	seven = b.conv(name+"branch7x7_3", seven, 192, high7)
	twice := b.conv(name+"branch7x7dbl_1", x, c, k1)
	twice = b.conv(name+"branch7x7dbl_2", twice, c, high7)
	twice = b.conv(name+"branch7x7dbl_3", twice, c, wide7)
	twice = b.conv(name+"branch7x7dbl_4", twice, c, high7)
	twice = b.conv(name+"branch7x7dbl_5", twice, 192, wide7)
	return join(one, seven, twice, b.conv(name+"branch_pool", pool.Mean(x, around), 192, k1))
}

func (b inceptionBuilder) mixedD(name string, x *gorgonia.Node) *gorgonia.Node {
	three := b.conv(name+"branch3x3_2", b.conv(name+"branch3x3_1", x, 192, k1), 320, half)
	seven := b.conv(name+"branch7x7x3_1", x, 192, k1)
	seven = b.conv(name+"branch7x7x3_2", seven, 192, wide7)
	seven = b.conv(name+"branch7x7x3_3", seven, 192, high7)
	seven = b.conv(name+"branch7x7x3_4", seven, 192, half)
	return join(three, seven, pool.Max(x, halving))
}

func (b inceptionBuilder) mixedE(name string, x *gorgonia.Node, pooling func(*gorgonia.Node, pool.Options) *gorgonia.Node) *gorgonia.Node {
	one := b.conv(name+"branch1x1", x, 320, k1)
	three := b.conv(name+"branch3x3_1", x, 384, k1)
	twice := b.conv(name+"branch3x3dbl_2", b.conv(name+"branch3x3dbl_1", x, 448, k1), 384, k3)
	return join(one,
		b.conv(name+"branch3x3_2a", three, 384, wide3), b.conv(name+"branch3x3_2b", three, 384, high3),
		b.conv(name+"branch3x3dbl_3a", twice, 384, wide3), b.conv(name+"branch3x3dbl_3b", twice, 384, high3),
		b.conv(name+"branch_pool", pooling(x, around), 192, k1))
}

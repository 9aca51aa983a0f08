package autoencoder

import (
	"fmt"
	"slices"

	"fluxion/kernels/attention"
	"fluxion/kernels/concat"
	"fluxion/kernels/conv"
	"fluxion/kernels/groupnorm"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/resample"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// Types of blocks. Those that attend have an attention of one head behind each resnet.
const (
	downBlock     = "DownEncoderBlock2D"
	attnDownBlock = "AttnDownEncoderBlock2D"
	upBlock       = "UpDecoderBlock2D"
	attnUpBlock   = "AttnUpDecoderBlock2D"
)

// epsilon of every norm.
const epsilon = 1e-6

// builder adds layers to a graph. Each takes the name that diffusers gives it. Weights come
// from files: there is nothing that they begin with.
type builder struct {
	*nets.Scope
	Config
}

// encode makes of images (N,H,W,in_channels) the moments of their posteriors, (N,H/f,W/f,
// 2·latent_channels): means, and logarithms of variances behind them.
func (b builder) encode(x *gorgonia.Node) *gorgonia.Node {
	x = b.conv("encoder.conv_in", x, b.BlockOutChannels[0], 3, conv.Same(3))
	for i, channels := range b.BlockOutChannels {
		name := fmt.Sprintf("encoder.down_blocks.%d", i)
		x = b.level(name, x, channels, b.LayersPerBlock, b.DownBlockTypes[i] == attnDownBlock)
		if i < len(b.BlockOutChannels)-1 { // zeros below and to the right, as TensorFlow pads
			x = b.conv(name+".downsamplers.0.conv", x, channels, 3, conv.Options{Stride: 2, PadBottom: 1, PadRight: 1})
		}
	}
	x = b.mid("encoder.mid_block", x)
	x = b.norm("encoder.conv_norm_out", x, true)
	x = b.conv("encoder.conv_out", x, 2*b.LatentChannels, 3, conv.Same(3))
	if b.UseQuantConv {
		x = b.conv("quant_conv", x, 2*b.LatentChannels, 1, conv.Same(1))
	}
	return x
}

// decode makes images of latents (N,h,w,latent_channels).
func (b builder) decode(z *gorgonia.Node) *gorgonia.Node {
	x := z
	if b.UsePostQuantConv {
		x = b.conv("post_quant_conv", x, b.LatentChannels, 1, conv.Same(1))
	}
	coarsest := slices.Clone(b.BlockOutChannels)
	slices.Reverse(coarsest)
	x = b.conv("decoder.conv_in", x, coarsest[0], 3, conv.Same(3))
	x = b.mid("decoder.mid_block", x)
	for i, channels := range coarsest {
		name := fmt.Sprintf("decoder.up_blocks.%d", i)
		x = b.level(name, x, channels, b.LayersPerBlock+1, b.UpBlockTypes[i] == attnUpBlock)
		if i < len(coarsest)-1 {
			x = b.conv(name+".upsamplers.0.conv", resample.Upsample(x), channels, 3, conv.Same(3))
		}
	}
	x = b.norm("decoder.conv_norm_out", x, true)
	return b.conv("decoder.conv_out", x, b.OutChannels, 3, conv.Same(3))
}

func (b builder) level(name string, x *gorgonia.Node, channels, layers int, attends bool) *gorgonia.Node {
	for j := range layers {
		x = b.resnet(fmt.Sprintf("%s.resnets.%d", name, j), x, channels)
		if attends {
			x = b.attention(fmt.Sprintf("%s.attentions.%d", name, j), x)
		}
	}
	return x
}

func (b builder) mid(name string, x *gorgonia.Node) *gorgonia.Node {
	channels := x.Shape()[3]
	x = b.resnet(name+".resnets.0", x, channels)
	if b.MidBlockAddAttention {
		x = b.attention(name+".attentions.0", x)
	}
	return b.resnet(name+".resnets.1", x, channels)
}

// resnet is the residual block of UNet2DModel without a time.
func (b builder) resnet(name string, x *gorgonia.Node, out int) *gorgonia.Node {
	h := b.conv(name+".conv1", b.norm(name+".norm1", x, true), out, 3, conv.Same(3))
	h = b.conv(name+".conv2", b.norm(name+".norm2", h, true), out, 3, conv.Same(3))
	if x.Shape()[3] != out {
		x = b.conv(name+".conv_shortcut", x, out, 1, conv.Same(1))
	}
	return pointwise.Add(x, h)
}

func (b builder) attention(name string, x *gorgonia.Node) *gorgonia.Node {
	c := x.Shape()[3]
	h := b.norm(name+".group_norm", x, false)
	qkv := concat.Channels(b.Linear(name+".to_q", h, c, nets.Zero), b.Linear(name+".to_k", h, c, nets.Zero), b.Linear(name+".to_v", h, c, nets.Zero))
	return pointwise.Add(x, b.Linear(name+".to_out.0", attention.Attention(qkv, 1), c, nets.Zero))
}

func (b builder) conv(name string, x *gorgonia.Node, out, side int, o conv.Options) *gorgonia.Node {
	w := b.Matrix(name+".weight", nets.Init{}, out, x.Shape()[3], side, side)
	return conv.Conv2D(x, w, b.Param(name+".bias", nets.Init{}, out), o)
}

func (b builder) norm(name string, x *gorgonia.Node, silu bool) *gorgonia.Node {
	c := x.Shape()[3]
	gain, bias := b.Param(name+".weight", nets.Init{}, c), b.Param(name+".bias", nets.Init{}, c)
	return groupnorm.GroupNorm(x, gain, bias, groupnorm.Options{Groups: b.NormNumGroups, Epsilon: epsilon, SiLU: silu})
}

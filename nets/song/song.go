package song

import (
	"fmt"
	"math"
	"slices"

	"fluxion/kernels/attention"
	"fluxion/kernels/concat"
	"fluxion/kernels/conv"
	"fluxion/kernels/dropout"
	"fluxion/kernels/embed"
	"fluxion/kernels/fir"
	"fluxion/kernels/groupnorm"
	"fluxion/kernels/linear"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/resample"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// epsilon of all norms.
const epsilon = 1e-6

// fourierScale is the deviation of the frequencies of embedding_type fourier.
const fourierScale = 16

// builder adds layers to a graph.
type builder struct {
	*nets.Scope
	config Config
	time   *gorgonia.Node // (N,T) embedding, through SiLU
	blocks []*gorgonia.Node

	dropout *gorgonia.Node // keys; nil outside of training
	dropped int            // layers so far
}

// Apply is the network: see nets.Network.
func (c Config) Apply(s *nets.Scope, in nets.Inputs) nets.Result {
	b := builder{Scope: s, config: c, dropout: in.Dropout}
	b.time = b.embedding(in)
	given := []*gorgonia.Node{in.Sample}
	if c.Concat() > 0 {
		given = append(given, in.Concat)
	}
	if c.Estimate() {
		given = append(given, in.Estimate)
	}
	x := in.Sample
	if len(given) > 1 {
		x = concat.Channels(given...)
	}
	x, skips := b.encode(x)
	output := b.decode(x, skips)
	return nets.Result{Output: output, Blocks: append(b.blocks, output)}
}

// TimeFeatures are sines and cosines of the time: see nets.Timed.
func (c Config) TimeFeatures() (embed.TimestepOptions, bool) {
	return embed.TimestepOptions{Dim: c.ChannelMultNoise * c.ModelChannels, FreqShift: 1, Scale: 1}, c.EmbeddingType == positional
}

func (b *builder) times(t *gorgonia.Node) *gorgonia.Node {
	features, is := b.config.TimeFeatures()
	if is {
		return embed.Timestep(t, features)
	}
	return embed.Fourier(t, b.Fixed("time_proj.weight", nets.Init{Normal: fourierScale}, features.Dim/2), embed.FourierOptions{})
}

// embedding joins classes and augmentation to the sines and cosines of times, before two maps.
func (b *builder) embedding(in nets.Inputs) *gorgonia.Node {
	c := b.config
	e := b.times(in.Time)
	width, inner := e.Shape()[1], c.ChannelMultEmb*c.ModelChannels
	if c.NumClassEmbeds > 0 {
		e = pointwise.Add(e, embed.Lookup(b.Param(nets.ClassTable, nets.Init{Normal: 1}, c.NumClassEmbeds, width), in.Class))
	}
	if c.Meta[nets.Augmented] == true && in.Augment != nil {
		e = pointwise.Add(e, linear.Plain(in.Augment, b.Matrix("augment_embedding.weight", nets.Zero(0, 0), width, nets.AugmentLabels)))
	}
	e = b.Linear(nets.TimeEmbedding+".linear_2", pointwise.SiLU(b.Linear(nets.TimeEmbedding+".linear_1", e, inner, nets.Glorot)), inner, nets.Glorot)
	// What flow maps and guided students are told begins at zero: they begin as the network whose weights they begin with.
	told := func(name string, features *gorgonia.Node) {
		e = pointwise.Add(e, b.Linear(name+".linear_2", pointwise.SiLU(b.Linear(name+".linear_1", features, inner, nets.Glorot)), inner, nets.Zero))
	}
	if c.Meta[nets.FlowMap] == true {
		told("jump_embedding", b.times(in.Jump))
	}
	if c.Spec().Told() {
		told("guidance_embedding", nets.GuidanceFeatures(in.Guidance, width))
	}
	return pointwise.SiLU(e)
}

func (b *builder) encode(x *gorgonia.Node) (*gorgonia.Node, []*gorgonia.Node) {
	c := b.config
	along := x // the image, and what becomes of it on the way
	x = b.block(b.conv("conv_in", x, c.ModelChannels, 3, conv.Same(3), nets.Glorot))
	skips := []*gorgonia.Node{x}
	for level, channels := range c.Channels() {
		name := fmt.Sprintf("enc.%d", level)
		if level > 0 {
			x = b.residual(name+".down", x, x.Shape()[3], b.half, false)
			if c.EncoderType == residual {
				along = pointwise.Affine(pointwise.Add(x, b.halfBehind(name+".aux_residual", along, x.Shape()[3])), math.Sqrt2/2, 0)
				x = b.block(along)
			}
			skips = append(skips, x)
		}
		for i := range c.NumBlocks {
			x = b.residual(fmt.Sprintf("%s.block%d", name, i), x, channels, nil, slices.Contains(c.AttentionLevels, level))
			skips = append(skips, x)
		}
	}
	return x, skips
}

func (b *builder) decode(x *gorgonia.Node, skips []*gorgonia.Node) *gorgonia.Node {
	c := b.config
	for level, channels := range slices.Backward(c.Channels()) {
		name := fmt.Sprintf("dec.%d", level)
		if level == len(c.ChannelMult)-1 {
			x = b.residual(name+".in0", x, x.Shape()[3], nil, true)
			x = b.residual(name+".in1", x, x.Shape()[3], nil, false)
		} else {
			x = b.residual(name+".up", x, x.Shape()[3], b.double, false)
		}
		for i := range c.NumBlocks + 1 {
			last := len(skips) - 1
			x = concat.Channels(x, skips[last])
			skips = skips[:last]
			attends := i == c.NumBlocks && slices.Contains(c.AttentionLevels, level)
			x = b.residual(fmt.Sprintf("%s.block%d", name, i), x, channels, nil, attends)
		}
	}
	return b.conv("conv_out", b.norm("norm_out", x, true), c.OutChannels, 3, conv.Same(3), nets.Zero)
}

// residual is √½·(shortcut(x) + branch(x)), both resampled, and attention behind it, scaled in
// the same way.
func (b *builder) residual(name string, x *gorgonia.Node, out int, resize func(*gorgonia.Node) *gorgonia.Node, attends bool) *gorgonia.Node {
	h, shortcut := b.norm(name+".norm0", x, true), resize != nil || x.Shape()[3] != out
	if resize != nil {
		h, x = resize(h), resize(x)
	}
	h = b.conv(name+".conv0", h, out, 3, conv.Same(3), nets.Glorot)
	h = b.norm(name+".norm1", pointwise.AddPerImage(h, b.Linear(name+".affine", b.time, out, nets.Glorot)), true)
	if share := b.config.Dropout.Value; share > 0 && b.dropout != nil {
		h = dropout.Apply(h, b.dropout, share, b.dropped)
		b.dropped++
	}
	h = b.conv(name+".conv1", h, out, 3, conv.Same(3), nets.Zero)
	if shortcut {
		x = b.conv(name+".skip", x, out, 1, conv.Same(1), nets.Glorot)
	}
	x = b.block(pointwise.Affine(pointwise.Add(x, h), math.Sqrt2/2, 0))
	if !attends {
		return x
	}
	h = attention.Attention(b.Linear(name+".qkv", b.norm(name+".norm2", x, false), 3*out, nets.Glorot), 1)
	return b.block(pointwise.Affine(pointwise.Add(b.Linear(name+".proj", h, out, nets.Zero), x), math.Sqrt2/2, 0))
}

func (b *builder) taps() (taps []float64) {
	for _, t := range b.config.ResampleFilter {
		taps = append(taps, float64(t))
	}
	return taps
}

// box says whether the filter is the mean of squares.
func (b *builder) box() bool { return slices.Equal(b.taps(), []float64{1, 1}) }

func (b *builder) half(x *gorgonia.Node) *gorgonia.Node {
	if b.box() {
		return resample.AvgPool(x)
	}
	return fir.Down(x, b.taps()...)
}

func (b *builder) double(x *gorgonia.Node) *gorgonia.Node {
	if b.box() {
		return resample.Upsample(x)
	}
	return fir.Up(x, b.taps()...)
}

// halfBehind halves what a convolution gives, which the filter also has outside of the image.
func (b *builder) halfBehind(name string, x *gorgonia.Node, out int) *gorgonia.Node {
	p := 1 + (len(b.config.ResampleFilter)-1)/2
	wide := b.conv(name, x, out, 3, conv.Options{Stride: 1, PadTop: p, PadLeft: p, PadBottom: p, PadRight: p}, nets.Glorot)
	return fir.DownWithin(wide, b.taps()...)
}

// block notes that blocks begin with x.
func (b *builder) block(x *gorgonia.Node) *gorgonia.Node {
	b.blocks = append(b.blocks, x)
	return x
}

// conv is a convolution with kernels of side×side; its bias begins at zero.
func (b *builder) conv(name string, x *gorgonia.Node, out, side int, o conv.Options, start nets.Start) *gorgonia.Node {
	in := x.Shape()[3]
	w := b.Matrix(name+".weight", start(in*side*side, out*side*side), out, in, side, side)
	return conv.Conv2D(x, w, b.Param(name+".bias", nets.Init{}, out), o)
}

func (b *builder) norm(name string, x *gorgonia.Node, silu bool) *gorgonia.Node {
	n := x.Shape()[3]
	return groupnorm.GroupNorm(x, b.Param(name+".weight", nets.Init{Constant: 1}, n), b.Param(name+".bias", nets.Init{}, n), groupnorm.Options{Groups: groups(n), Epsilon: epsilon, SiLU: silu})
}

package unet

import (
	"fmt"

	"fluxion/kernels/attention"
	"fluxion/kernels/concat"
	"fluxion/kernels/conv"
	"fluxion/kernels/dropout"
	"fluxion/kernels/embed"
	"fluxion/kernels/groupnorm"
	"fluxion/kernels/linear"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/resample"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// Apply is the network: see nets.Network.
func (c Config) Apply(s *nets.Scope, in nets.Inputs) nets.Result {
	b := builder{Scope: s, config: c, dropout: in.Dropout}
	sample := in.Sample
	given := []*gorgonia.Node{in.Sample}
	if c.concat() > 0 {
		given = append(given, in.Concat)
	}
	if c.SelfConditioned() {
		given = append(given, in.Estimate)
	}
	if len(given) > 1 {
		sample = concat.Channels(given...)
	}
	b.time = b.embedding(in)
	r := nets.Result{Output: b.forward(sample)}
	if c.variance() {
		b.blocks = append(b.blocks, r.Output)
		r.Output, r.Variance = concat.Slice(r.Output, 0, c.InChannels), concat.Slice(r.Output, c.InChannels, c.InChannels)
		b.blocks = append(b.blocks, r.Variance)
	}
	if c.TimeEmbeddingType == fourier { // diffusers has it give a score, of a network that is told σ
		r.Output = pointwise.OverPerImage(r.Output, in.Time)
	}
	r.Blocks = append(b.blocks, r.Output)
	return r
}

// builder adds layers to a graph. Each takes the name that diffusers gives it.
type builder struct {
	*nets.Scope
	config Config
	time   *gorgonia.Node // (N,T) embedding of time and class, through the activation: every resnet wants it so
	blocks []*gorgonia.Node

	skip *gorgonia.Node // images that go along with the features of skip blocks, behind the last of them; nil: none

	dropout *gorgonia.Node // keys; nil outside of training
	dropped int            // layers so far
}

func (b *builder) embedding(in nets.Inputs) *gorgonia.Node {
	c := b.config
	embedding := b.mlp(nets.TimeEmbedding, b.timeProjection(in.Time), nets.Glorot)
	if c.Augmented() && in.Augment != nil { // it begins at zero, and has no bias: without labels there is nothing to add
		embedding = pointwise.Add(embedding, linear.Plain(in.Augment, b.Matrix("augment_embedding.weight", nets.Zero(0, 0), c.timeDim(), nets.AugmentLabels)))
	}
	if c.told() {
		// It begins at zero: a student begins as the network whose weights it begins with.
		embedding = pointwise.Add(embedding, b.mlp("guidance_embedding", nets.GuidanceFeatures(in.Guidance, c.BlockOutChannels[0]), nets.Zero))
	}
	switch {
	case c.jumpsAsClass():
		return b.activation(pointwise.Add(embedding, b.jump("class_embedding", in.Jump)))
	case c.Jumps():
		embedding = pointwise.Add(embedding, b.jump("jump_embedding", in.Jump))
	}
	if c.Conditional() {
		embedding = pointwise.Add(embedding, b.classEmbedding(in.Class))
	}
	return b.activation(embedding)
}

// jump begins at zero: a flow map begins as the flow whose weights it begins with.
func (b *builder) jump(name string, jump *gorgonia.Node) *gorgonia.Node {
	return b.mlp(name, b.timeProjection(jump), nets.Zero)
}

func (b *builder) forward(sample *gorgonia.Node) *gorgonia.Node {
	c := b.config
	if c.CenterInputSample {
		sample = pointwise.Affine(sample, 2, -1)
	}
	x := b.block(b.conv("conv_in", sample, c.BlockOutChannels[0], 3, conv.Same(3), nets.Glorot))
	skips := []*gorgonia.Node{x}
	b.skip = sample
	for _, l := range c.downLevels() {
		x, skips = b.down(l, x, skips)
	}
	if c.MidBlockType != "" {
		x = b.mid(x)
	}
	b.skip = nil
	for _, l := range c.upLevels() {
		x, skips = b.up(l, x, skips)
	}
	x = b.norm("conv_norm_out", x, c.NormNumGroups, true)
	x = b.conv("conv_out", x, c.OutChannels, 3, conv.Same(3), nets.Zero)
	if b.skip != nil {
		x = pointwise.Add(x, b.skip)
	}
	return x
}

func (b *builder) timeProjection(t *gorgonia.Node) *gorgonia.Node {
	c := b.config
	if c.TimeEmbeddingType == "learned" {
		// It stands where sines and cosines do otherwise, so it begins as large.
		return embed.Lookup(b.Param("time_proj.weight", nets.Init{Normal: 1}, c.NumTrainTimesteps, c.BlockOutChannels[0]), t)
	}
	if c.TimeEmbeddingType == fourier {
		return embed.Fourier(t, b.Fixed("time_proj.weight", nets.Init{Normal: fourierScale}, c.BlockOutChannels[0]), embed.FourierOptions{Log: true})
	}
	features, _ := c.TimeFeatures()
	return embed.Timestep(t, features)
}

// TimeFeatures are sines and cosines of the time: see nets.Timed.
func (c Config) TimeFeatures() (embed.TimestepOptions, bool) {
	o := embed.TimestepOptions{Dim: c.timeChannels(), FlipSinToCos: c.FlipSinToCos, FreqShift: c.FreqShift.Value, Scale: 1}
	return o, c.TimeEmbeddingType == "positional"
}

func (b *builder) classEmbedding(class *gorgonia.Node) *gorgonia.Node {
	c := b.config
	switch c.ClassEmbedType {
	case nets.Timestep:
		return b.mlp("class_embedding", b.timeProjection(class), nets.Glorot)
	case nets.Identity:
		return class
	}
	// As PyTorch's embeddings begin: classes that begin alike take long to part.
	return embed.Lookup(b.Param(nets.ClassTable, nets.Init{Normal: 1}, c.NumClassEmbeds, c.timeDim()), class)
}

func (b *builder) down(l level, x *gorgonia.Node, skips []*gorgonia.Node) (*gorgonia.Node, []*gorgonia.Node) {
	if l.skip {
		return b.skipDown(l, x, skips)
	}
	for j := range l.resnets {
		x = b.resnet(fmt.Sprintf("%s.resnets.%d", l.name, j), x, l.channels, identity, 1)
		if l.attention {
			x = b.attention(fmt.Sprintf("%s.attentions.%d", l.name, j), x, b.config.NormNumGroups, 1)
		}
		skips = append(skips, x)
	}
	switch name := l.name + ".downsamplers.0"; l.resample {
	case "conv":
		x = b.block(b.conv(name+".conv", x, l.channels, 3, b.downsampling(), nets.Glorot))
		skips = append(skips, x)
	case "resnet":
		x = b.resnet(name, x, l.channels, resample.AvgPool, 1)
		skips = append(skips, x)
	}
	return x, skips
}

// downsampling halves the image. Without padding, diffusers adds one row below
// and one column to the right, as TensorFlow does.
func (b *builder) downsampling() conv.Options {
	p := b.config.DownsamplePadding
	return conv.Options{Stride: 2, PadTop: p, PadLeft: p, PadBottom: 1, PadRight: 1}
}

func (b *builder) mid(x *gorgonia.Node) *gorgonia.Node {
	c := b.config
	scale := 1 / c.MidBlockScaleFactor.Value
	x = b.resnet("mid_block.resnets.0", x, channels(x), identity, scale)
	if c.AddAttention {
		x = b.attention("mid_block.attentions.0", x, c.midAttentionGroups(), scale)
	}
	return b.resnet("mid_block.resnets.1", x, channels(x), identity, scale)
}

func (b *builder) up(l level, x *gorgonia.Node, skips []*gorgonia.Node) (*gorgonia.Node, []*gorgonia.Node) {
	if l.skip {
		return b.skipUp(l, x, skips)
	}
	for j := range l.resnets {
		last := len(skips) - 1
		x = concat.Channels(x, skips[last])
		skips = skips[:last]
		x = b.resnet(fmt.Sprintf("%s.resnets.%d", l.name, j), x, l.channels, identity, 1)
		if l.attention {
			x = b.attention(fmt.Sprintf("%s.attentions.%d", l.name, j), x, b.config.NormNumGroups, 1)
		}
	}
	switch name := l.name + ".upsamplers.0"; l.resample {
	case "conv":
		x = b.block(b.conv(name+".conv", resample.Upsample(x), l.channels, 3, conv.Same(3), nets.Glorot))
	case "resnet":
		x = b.resnet(name, x, l.channels, resample.Upsample, 1)
	}
	return x, skips
}

func identity(x *gorgonia.Node) *gorgonia.Node { return x }

// resnet returns scale·(shortcut(x) + branch(x)), of so many channels; both sides are
// resampled, the branch after its first norm.
func (b *builder) resnet(name string, x *gorgonia.Node, out int, resize func(*gorgonia.Node) *gorgonia.Node, scale float64) *gorgonia.Node {
	groups := b.config.NormNumGroups
	return b.residual(residual{name: name, out: out, groupsIn: groups, groupsOut: groups, resize: resize, scale: scale, shortcut: channels(x) != out}, x)
}

// residual is a block of resnet.
type residual struct {
	name                string
	out                 int // channels
	groupsIn, groupsOut int // of its norms
	resize              func(*gorgonia.Node) *gorgonia.Node
	scale               float64
	shortcut            bool // a convolution beside the branch
}

func (b *builder) residual(r residual, x *gorgonia.Node) *gorgonia.Node {
	name, out := r.name, r.out
	h := r.resize(b.activated(name+".norm1", x, r.groupsIn))
	x = r.resize(x)
	h = b.conv(name+".conv1", h, out, 3, conv.Same(3), nets.Glorot)
	if b.config.ResnetTimeScaleShift == "scale_shift" {
		t := b.Linear(name+".time_emb_proj", b.time, 2*out, nets.Glorot)
		gain, bias := b.affine(name+".norm2", out)
		of := b.config.activation()
		h = of.behind(groupnorm.GroupNormScaleShift(h, gain, bias, t, b.normOptions(r.groupsOut, of.fused())))
	} else {
		t := b.Linear(name+".time_emb_proj", b.time, out, nets.Glorot)
		h = b.activated(name+".norm2", pointwise.AddPerImage(h, t), r.groupsOut)
	}
	if share := b.config.Dropout.Value; share > 0 && b.dropout != nil {
		h = dropout.Apply(h, b.dropout, share, b.dropped)
		b.dropped++
	}
	h = b.conv(name+".conv2", h, out, 3, conv.Same(3), nets.Zero)
	if r.shortcut {
		x = b.conv(name+".conv_shortcut", x, out, 1, conv.Same(1), nets.Glorot)
	}
	return b.block(scaled(pointwise.Add(x, h), r.scale))
}

// attention returns scale·(x + attention(x)); 0 groups leave out the norm.
func (b *builder) attention(name string, x *gorgonia.Node, groups int, scale float64) *gorgonia.Node {
	heads, inner := b.config.heads(channels(x))
	h := x
	if groups > 0 {
		h = b.norm(name+".group_norm", x, groups, false)
	}
	qkv := concat.Channels(b.Linear(name+".to_q", h, inner, nets.Glorot), b.Linear(name+".to_k", h, inner, nets.Glorot), b.Linear(name+".to_v", h, inner, nets.Glorot))
	h = b.Linear(name+".to_out.0", attention.Attention(qkv, heads), channels(x), nets.Zero)
	return b.block(scaled(pointwise.Add(x, h), scale))
}

func channels(x *gorgonia.Node) int { return x.Shape()[x.Dims()-1] }

// block notes that blocks begin with x.
func (b *builder) block(x *gorgonia.Node) *gorgonia.Node {
	b.blocks = append(b.blocks, x)
	return x
}

func scaled(x *gorgonia.Node, scale float64) *gorgonia.Node {
	if scale == 1 {
		return x
	}
	return pointwise.Affine(x, scale, 0)
}

// mlp makes the embedding of a time.
func (b *builder) mlp(name string, x *gorgonia.Node, start nets.Start) *gorgonia.Node {
	width := b.config.timeDim()
	return b.Linear(name+".linear_2", pointwise.SiLU(b.Linear(name+".linear_1", x, width, nets.Glorot)), width, start)
}

// conv is a convolution with kernels of side×side; its bias begins at zero.
func (b *builder) conv(name string, x *gorgonia.Node, out, side int, o conv.Options, start nets.Start) *gorgonia.Node {
	in := channels(x)
	w := b.Matrix(name+".weight", start(in*side*side, out*side*side), out, in, side, side)
	return conv.Conv2D(x, w, b.Param(name+".bias", nets.Init{}, out), o)
}

func (b *builder) norm(name string, x *gorgonia.Node, groups int, silu bool) *gorgonia.Node {
	gain, bias := b.affine(name, channels(x))
	return groupnorm.GroupNorm(x, gain, bias, b.normOptions(groups, silu))
}

// activated is a norm and the activation.
func (b *builder) activated(name string, x *gorgonia.Node, groups int) *gorgonia.Node {
	of := b.config.activation()
	return of.behind(b.norm(name, x, groups, of.fused()))
}

func (b *builder) activation(x *gorgonia.Node) *gorgonia.Node { return b.config.activation().apply(x) }

// affine is what a norm multiplies and adds to each channel.
func (b *builder) affine(name string, channels int) (gain, bias *gorgonia.Node) {
	return b.Param(name+".weight", nets.Init{Constant: 1}, channels), b.Param(name+".bias", nets.Init{}, channels)
}

func (b *builder) normOptions(groups int, silu bool) groupnorm.Options {
	return groupnorm.Options{Groups: groups, Epsilon: b.config.NormEps.Value, SiLU: silu}
}

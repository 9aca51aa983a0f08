package edm2

import (
	"fmt"
	"math"
	"slices"

	"fluxion/kernels/attention"
	"fluxion/kernels/concat"
	"fluxion/kernels/conv"
	"fluxion/kernels/dropout"
	"fluxion/kernels/embed"
	"fluxion/kernels/linear"
	"fluxion/kernels/magnitude"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/resample"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// constantClass is the vector of a network without classes: see Config.ConstantClass.
const constantClass = "constant_class.weight"

// siluSize is the size of SiLU of normal numbers. Layers behind it have weights that much larger,
// in the place of a SiLU that is divided by it (equation 81).
const siluSize = 0.596

// builder adds layers to a graph.
type builder struct {
	*nets.Scope
	config Config
	clock  *gorgonia.Node // times, for what needs a node of the graph
	time   *gorgonia.Node // (N,T) embedding, through SiLU
	blocks []*gorgonia.Node

	dropout *gorgonia.Node // keys; nil outside of training
	dropped int            // layers so far
}

// Apply is the network: see nets.Network.
func (c Config) Apply(s *nets.Scope, in nets.Inputs) nets.Result {
	b := builder{Scope: s, config: c, clock: in.Time, dropout: in.Dropout}
	b.time = b.embedding(in)
	given := []*gorgonia.Node{in.Sample}
	if c.Concat() > 0 {
		given = append(given, in.Concat)
	}
	if c.Estimate() {
		given = append(given, in.Estimate)
	}
	// A channel of ones is what there is instead of biases.
	shape := in.Sample.Shape()
	given = append(given, magnitude.Fill(in.Sample, 1, shape[0], shape[1], shape[2], 1))
	x, skips := b.encode(concat.Channels(given...))
	output := b.decode(x, skips)
	return nets.Result{Output: output, Blocks: append(b.blocks, output)}
}

// times are cosines of frequencies and phases that a network keeps.
func (b *builder) times(t *gorgonia.Node) *gorgonia.Node {
	n := b.config.noise()
	frequencies := b.Fixed("time_proj.frequencies", nets.Init{Normal: 2 * math.Pi}, n)
	return magnitude.Phases(t, frequencies, b.Fixed("time_proj.phases", nets.Init{Constant: math.Pi, Uniform: math.Pi}, n))
}

func (b *builder) embedding(in nets.Inputs) *gorgonia.Node {
	c := b.config
	width := c.embedding()
	e := b.linear(nets.TimeEmbedding, b.times(in.Time), width, 1)
	class := func(table, numbers *gorgonia.Node) {
		e = balanced(e, embed.Lookup(table, numbers), c.LabelBalance.Value, math.Inf(1))
	}
	switch n := c.NumClassEmbeds; {
	case n > 0:
		class(b.UnitTable(nets.ClassTable, counted(n), n, width), in.Class)
	case c.ConstantClass:
		class(b.Param(constantClass, nets.Init{Normal: 1}, 1, width), magnitude.Fill(in.Time, 0, in.Time.Shape()[0]))
	}
	// What else it may be told begins at zero: so it begins as the network whose weights it begins with.
	told := func(name string, features *gorgonia.Node) {
		e = pointwise.Add(e, magnitude.Scale(b.linear(name, features, width, 1), b.gain(name+".gain")))
	}
	if c.Meta[nets.Augmented] == true && in.Augment != nil {
		told("augment_embedding", in.Augment)
	}
	if c.Meta[nets.FlowMap] == true {
		told("jump_embedding", b.times(in.Jump))
	}
	if c.Spec().Told() {
		told("guidance_embedding", nets.GuidanceFeatures(in.Guidance, 2*c.noise()))
	}
	return pointwise.SiLU(e)
}

// counted are the classes whose vectors have unit size together: all but the last, which is none.
func counted(classes int) int { return max(1, classes-1) }

func (b *builder) encode(x *gorgonia.Node) (*gorgonia.Node, []*gorgonia.Node) {
	c := b.config
	x = b.block(b.conv("conv_in", x, c.Channels()[0], 3, 1))
	skips := []*gorgonia.Node{x}
	for level, channels := range c.Channels() {
		name := fmt.Sprintf("enc.%d", level)
		if level > 0 {
			x = b.down(name+".down", resample.AvgPool(x), x.Shape()[3], false)
			skips = append(skips, x)
		}
		for i := range c.NumBlocks {
			x = b.down(fmt.Sprintf("%s.block%d", name, i), x, channels, slices.Contains(c.AttentionLevels, level))
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
			x = b.up(name+".in0", x, x.Shape()[3], true)
			x = b.up(name+".in1", x, x.Shape()[3], false)
		} else {
			x = b.up(name+".up", resample.Upsample(x), x.Shape()[3], false)
		}
		for i := range c.NumBlocks + 1 {
			last := len(skips) - 1
			x = joined(x, skips[last], c.ConcatBalance.Value)
			skips = skips[:last]
			x = b.up(fmt.Sprintf("%s.block%d", name, i), x, channels, slices.Contains(c.AttentionLevels, level))
		}
	}
	return magnitude.Scale(b.conv("conv_out", x, c.OutChannels, 3, 1), b.gain("conv_out.gain"))
}

// down is a block on the way down: pixels are brought to unit size before it branches.
func (b *builder) down(name string, x *gorgonia.Node, out int, attends bool) *gorgonia.Node {
	if x.Shape()[3] != out {
		x = b.conv(name+".conv_skip", x, out, 1, 1)
	}
	x = magnitude.Pixel(x, 1)
	return b.joinBranch(name, x, b.branch(name, x, out), attends)
}

// up is a block on the way up.
func (b *builder) up(name string, x *gorgonia.Node, out int, attends bool) *gorgonia.Node {
	y := b.branch(name, x, out)
	if x.Shape()[3] != out {
		x = b.conv(name+".conv_skip", x, out, 1, 1)
	}
	return b.joinBranch(name, x, y, attends)
}

// branch of a residual block: the embedding scales its channels.
func (b *builder) branch(name string, x *gorgonia.Node, out int) *gorgonia.Node {
	y := b.conv(name+".conv_res0", pointwise.SiLU(x), out, 3, 1/siluSize)
	scales := magnitude.Scale(b.linear(name+".emb_linear", b.time, out, 1/siluSize), b.gain(name+".emb_gain"))
	y = pointwise.SiLU(magnitude.Scale(y, pointwise.Affine(scales, 1, 1)))
	if share := b.config.Dropout.Value; share > 0 && b.dropout != nil {
		y = dropout.Apply(y, b.dropout, share, b.dropped)
		b.dropped++
	}
	return b.conv(name+".conv_res1", y, out, 3, 1/siluSize)
}

// joinBranch adds the branch to x, and attention, of queries, keys and values of unit size.
func (b *builder) joinBranch(name string, x, branch *gorgonia.Node, attends bool) *gorgonia.Node {
	c := b.config
	limit := c.ClipAct.Value
	n := x.Shape()[3]
	heads := c.heads(n)
	if !attends || heads == 0 {
		return b.block(balanced(x, branch, c.ResBalance.Value, limit))
	}
	x = b.block(balanced(x, branch, c.ResBalance.Value, math.Inf(1)))
	qkv := magnitude.Pixel(b.pointwise(name+".attn_qkv", x, 3*n), 3*heads)
	return b.block(balanced(x, b.pointwise(name+".attn_proj", attention.Attention(qkv, heads), n), c.AttnBalance.Value, limit))
}

// balanced is a and b, t of it b, at the size of either (equation 88).
func balanced(x, y *gorgonia.Node, t, limit float64) *gorgonia.Node {
	size := math.Hypot(1-t, t)
	return magnitude.Sum(x, y, (1-t)/size, t/size, limit)
}

// joined is channels of x beside those of y, t of their squares those of y whatever their numbers
// (equation 103).
func joined(x, y *gorgonia.Node, t float64) *gorgonia.Node {
	m, n := float64(x.Shape()[3]), float64(y.Shape()[3])
	size := math.Sqrt((m + n) / ((1-t)*(1-t) + t*t))
	return concat.Channels(pointwise.Affine(x, size/math.Sqrt(m)*(1-t), 0), pointwise.Affine(y, size/math.Sqrt(n)*t, 0))
}

// block notes that blocks begin with x.
func (b *builder) block(x *gorgonia.Node) *gorgonia.Node {
	b.blocks = append(b.blocks, x)
	return x
}

// gain is a number that is learnt, and begins at zero.
func (b *builder) gain(name string) *gorgonia.Node { return b.Param(name, nets.Init{}, 1) }

// noBias is what layers add.
func (b *builder) noBias(out int) *gorgonia.Node { return magnitude.Fill(b.clock, 0, out) }

// conv is a convolution with kernels of side×side.
func (b *builder) conv(name string, x *gorgonia.Node, out, side int, factor float64) *gorgonia.Node {
	w := b.UnitMatrix(name+".weight", factor, out, x.Shape()[3], side, side)
	return conv.Conv2D(x, w, b.noBias(out), conv.Same(side))
}

// pointwise maps the channels of each pixel.
func (b *builder) pointwise(name string, x *gorgonia.Node, out int) *gorgonia.Node {
	return linear.Linear(x, b.UnitMatrix(name+".weight", 1, out, x.Shape()[3]), b.noBias(out))
}

// linear maps vectors (N,C).
func (b *builder) linear(name string, x *gorgonia.Node, out int, factor float64) *gorgonia.Node {
	return linear.Plain(x, b.UnitMatrix(name+".weight", factor, out, x.Shape()[1]))
}

// Package nets builds networks as Gorgonia graphs: UNet2DModel of diffusers,
// with its parameter names, its configuration and its folder format.
package nets

import (
	"fmt"
	"runtime"
	"slices"

	"fluxion/kernels/attention"
	"fluxion/kernels/concat"
	"fluxion/kernels/conv"
	"fluxion/kernels/embed"
	"fluxion/kernels/groupnorm"
	"fluxion/kernels/linear"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/resample"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// BuildOptions are the sizes a graph is built for.
type BuildOptions struct {
	Batch         int
	Height, Width int          // 0: as the configuration's sample_size
	Dtype         tensor.Dtype // Float32 if it is the zero value

	// Beside is a network whose graph, inputs and batch this one shares, as far as
	// it has them; its parameters are others, and Prefix begins the names of their
	// nodes.
	Beside *Graph
	Prefix string
}

// Graph is a network without values.
type Graph struct {
	G      *gorgonia.ExprGraph
	Sample *gorgonia.Node // (N,H,W,in_channels), or half of them beside an Estimate
	// Estimate is x̂ of a network that conditions on it, of the shape of Sample,
	// behind which it stands in the network's input; else nil.
	Estimate *gorgonia.Node
	Time     *gorgonia.Node // (N), the network's own time: 0 to 1000, any float
	// Class is nil for an unconditional network, else (N): rows of the class
	// table, or times under class_embed_type timestep; (N,T) under identity.
	Class  *gorgonia.Node
	Output *gorgonia.Node   // (N,H,W,out_channels)
	Params []Param          // sorted by name
	Nodes  []*gorgonia.Node // of Params, in the same order, under the same names
	// Blocks are what residual and attention blocks begin with, and Output: the
	// whole network follows from them, block by block.
	Blocks []*gorgonia.Node

	config Config
	time   *gorgonia.Node // see builder
}

// Given returns the network once more, with the same inputs and parameters but for
// its estimate, which is this.
func (g *Graph) Given(estimate *gorgonia.Node) *Graph {
	again := *g
	again.Estimate = estimate
	again.forward()
	return &again
}

// Build makes the graph of a configuration.
func Build(c Config, o BuildOptions) (g *Graph, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if o, err = o.complete(c); err != nil {
		return nil, err
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case runtime.Error:
			panic(r)
		case error:
			g, err = nil, fmt.Errorf("building the network: %w", r)
		default:
			g, err = nil, fmt.Errorf("building the network: %v", r)
		}
	}()
	return build(c, o), nil
}

// maxValues is more than a layer may hold, 16 TiB of float32: within it, no sum or
// product of sizes leaves an int. What a machine has is another question, for whoever
// knows the machine.
const maxValues = 1 << 42

// SizeError is images for which no machine could hold a network's layers.
type SizeError struct{ Batch, Height, Width int }

func (e *SizeError) Error() string {
	return fmt.Sprintf("a batch of %d images of %d×%d pixels: a layer would have more than 2^42 numbers; want smaller images or batches", e.Batch, e.Width, e.Height)
}

func (o BuildOptions) complete(c Config) (BuildOptions, error) {
	if o.Height == 0 && o.Width == 0 && len(c.SampleSize) > 0 {
		o.Height, o.Width = c.SampleSize[0], c.SampleSize[len(c.SampleSize)-1]
	}
	if o.Dtype.Type == nil {
		o.Dtype = tensor.Float32
	}
	step := 1 << (len(c.BlockOutChannels) - 1)
	switch {
	case o.Batch < 1:
		return o, fmt.Errorf("building the network: batch is %d, want at least 1", o.Batch)
	case o.Height < 1 || o.Width < 1 || o.Height%step != 0 || o.Width%step != 0:
		return o, fmt.Errorf("building the network: images of %d×%d, want positive multiples of %d, since the network has %d levels",
			o.Height, o.Width, step, len(c.BlockOutChannels))
	case float64(o.Batch)*float64(o.Height)*float64(o.Width)*float64(c.InChannels+c.OutChannels+4*slices.Max(c.BlockOutChannels)) > maxValues:
		return o, &SizeError{o.Batch, o.Height, o.Width}
	case o.Dtype != tensor.Float32 && o.Dtype != tensor.Float64:
		return o, fmt.Errorf("building the network: element type %v, want float32 or float64", o.Dtype)
	}
	return o, nil
}

func build(c Config, o BuildOptions) *Graph {
	g := inputs(c, o)
	for _, p := range g.Params {
		g.Nodes = append(g.Nodes, gorgonia.NewTensor(g.G, o.Dtype, len(p.Shape), gorgonia.WithShape(p.Shape...), gorgonia.WithName(o.Prefix+p.Name)))
	}
	g.forward()
	return g
}

// forward builds the network's layers between its inputs and its output.
func (g *Graph) forward() {
	b := builder{config: g.config, params: map[string]*gorgonia.Node{}, time: g.time}
	for i, p := range g.Params {
		b.params[p.Name] = g.Nodes[i]
	}
	sample := g.Sample
	if g.Estimate != nil {
		sample = concat.Channels(sample, g.Estimate)
	}
	if b.time == nil {
		b.time = b.embedding(g.Time, g.Class)
	}
	g.time = b.time
	g.Output = b.forward(sample)
	g.Blocks = append(b.blocks, g.Output)
}

// inputs are the network's own, or those of the one beside it.
func inputs(c Config, o BuildOptions) *Graph {
	channels := c.InChannels
	if c.SelfConditioned() {
		channels = c.OutChannels
	}
	images := func(g *gorgonia.ExprGraph, name string) *gorgonia.Node {
		return gorgonia.NewTensor(g, o.Dtype, 4, gorgonia.WithShape(o.Batch, o.Height, o.Width, channels), gorgonia.WithName(name))
	}
	if b := o.Beside; b != nil {
		out := &Graph{G: b.G, Sample: b.Sample, Time: b.Time, Class: b.Class, Params: c.Params(), config: c}
		if c.SelfConditioned() {
			if out.Estimate = b.Estimate; out.Estimate == nil {
				out.Estimate = images(b.G, "estimate")
			}
		}
		return out
	}
	g := gorgonia.NewGraph()
	out := &Graph{
		G:      g,
		Sample: images(g, "sample"),
		Time:   gorgonia.NewVector(g, o.Dtype, gorgonia.WithShape(o.Batch), gorgonia.WithName("timestep")),
		Params: c.Params(), config: c,
	}
	if c.SelfConditioned() {
		out.Estimate = images(g, "estimate")
	}
	switch {
	case c.ClassEmbedType == "identity":
		out.Class = gorgonia.NewMatrix(g, o.Dtype, gorgonia.WithShape(o.Batch, c.timeDim()), gorgonia.WithName("class_labels"))
	case c.Conditional():
		out.Class = gorgonia.NewVector(g, o.Dtype, gorgonia.WithShape(o.Batch), gorgonia.WithName("class_labels"))
	}
	return out
}

// builder adds layers to a graph. Each takes the name that diffusers gives it.
type builder struct {
	config Config
	params map[string]*gorgonia.Node
	time   *gorgonia.Node // (N,T) embedding of time and class, through SiLU: every resnet wants it so
	blocks []*gorgonia.Node
}

func (b *builder) embedding(time, class *gorgonia.Node) *gorgonia.Node {
	embedding := b.mlp("time_embedding", b.timeProjection(time))
	if class != nil {
		embedding = pointwise.Add(embedding, b.classEmbedding(class))
	}
	return pointwise.SiLU(embedding)
}

func (b *builder) forward(sample *gorgonia.Node) *gorgonia.Node {
	c := b.config
	if c.CenterInputSample {
		sample = pointwise.Affine(sample, 2, -1)
	}
	x := b.block(b.conv("conv_in", sample, conv.Same(3)))
	skips := []*gorgonia.Node{x}
	for _, l := range c.downLevels() {
		x, skips = b.down(l, x, skips)
	}
	if c.MidBlockType != "" {
		x = b.mid(x)
	}
	for _, l := range c.upLevels() {
		x, skips = b.up(l, x, skips)
	}
	x = b.norm("conv_norm_out", x, c.NormNumGroups, true)
	return b.conv("conv_out", x, conv.Same(3))
}

func (b *builder) timeProjection(t *gorgonia.Node) *gorgonia.Node {
	c := b.config
	if c.TimeEmbeddingType == "learned" {
		return embed.Lookup(b.param("time_proj.weight"), t)
	}
	return embed.Timestep(t, embed.TimestepOptions{
		Dim:          c.BlockOutChannels[0],
		FlipSinToCos: c.FlipSinToCos,
		FreqShift:    c.FreqShift.Value,
		Scale:        1,
	})
}

func (b *builder) classEmbedding(class *gorgonia.Node) *gorgonia.Node {
	switch b.config.ClassEmbedType {
	case "timestep":
		return b.mlp("class_embedding", b.timeProjection(class))
	case "identity":
		return class
	}
	return embed.Lookup(b.param("class_embedding.weight"), class)
}

func (b *builder) down(l level, x *gorgonia.Node, skips []*gorgonia.Node) (*gorgonia.Node, []*gorgonia.Node) {
	for j := range l.resnets {
		x = b.resnet(fmt.Sprintf("%s.resnets.%d", l.name, j), x, identity, 1)
		if l.attention {
			x = b.attention(fmt.Sprintf("%s.attentions.%d", l.name, j), x, b.config.NormNumGroups, 1)
		}
		skips = append(skips, x)
	}
	switch name := l.name + ".downsamplers.0"; l.resample {
	case "conv":
		x = b.block(b.conv(name+".conv", x, b.downsampling()))
		skips = append(skips, x)
	case "resnet":
		x = b.resnet(name, x, resample.AvgPool, 1)
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
	x = b.resnet("mid_block.resnets.0", x, identity, scale)
	if c.AddAttention {
		x = b.attention("mid_block.attentions.0", x, c.midAttentionGroups(), scale)
	}
	return b.resnet("mid_block.resnets.1", x, identity, scale)
}

func (b *builder) up(l level, x *gorgonia.Node, skips []*gorgonia.Node) (*gorgonia.Node, []*gorgonia.Node) {
	for j := range l.resnets {
		last := len(skips) - 1
		x = concat.Channels(x, skips[last])
		skips = skips[:last]
		x = b.resnet(fmt.Sprintf("%s.resnets.%d", l.name, j), x, identity, 1)
		if l.attention {
			x = b.attention(fmt.Sprintf("%s.attentions.%d", l.name, j), x, b.config.NormNumGroups, 1)
		}
	}
	switch name := l.name + ".upsamplers.0"; l.resample {
	case "conv":
		x = b.block(b.conv(name+".conv", resample.Upsample(x), conv.Same(3)))
	case "resnet":
		x = b.resnet(name, x, resample.Upsample, 1)
	}
	return x, skips
}

func identity(x *gorgonia.Node) *gorgonia.Node { return x }

// resnet returns scale·(shortcut(x) + branch(x)); both sides are resampled,
// the branch after its first norm.
func (b *builder) resnet(name string, x *gorgonia.Node, resize func(*gorgonia.Node) *gorgonia.Node, scale float64) *gorgonia.Node {
	groups := b.config.NormNumGroups
	h := resize(b.norm(name+".norm1", x, groups, true))
	x = resize(x)
	h = b.conv(name+".conv1", h, conv.Same(3))
	t := b.linear(name+".time_emb_proj", b.time)
	if b.config.ResnetTimeScaleShift == "scale_shift" {
		h = groupnorm.GroupNormScaleShift(h, b.param(name+".norm2.weight"), b.param(name+".norm2.bias"), t, b.normOptions(groups, true))
	} else {
		h = b.norm(name+".norm2", pointwise.AddPerImage(h, t), groups, true)
	}
	h = b.conv(name+".conv2", h, conv.Same(3))
	if b.params[name+".conv_shortcut.weight"] != nil {
		x = b.conv(name+".conv_shortcut", x, conv.Same(1))
	}
	return b.block(scaled(pointwise.Add(x, h), scale))
}

// attention returns scale·(x + attention(x)); 0 groups leave out the norm.
func (b *builder) attention(name string, x *gorgonia.Node, groups int, scale float64) *gorgonia.Node {
	heads, _ := b.config.heads(x.Shape()[3])
	h := x
	if groups > 0 {
		h = b.norm(name+".group_norm", x, groups, false)
	}
	qkv := concat.Channels(b.linear(name+".to_q", h), b.linear(name+".to_k", h), b.linear(name+".to_v", h))
	h = b.linear(name+".to_out.0", attention.Attention(qkv, heads))
	return b.block(scaled(pointwise.Add(x, h), scale))
}

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

func (b *builder) mlp(name string, x *gorgonia.Node) *gorgonia.Node {
	return b.linear(name+".linear_2", pointwise.SiLU(b.linear(name+".linear_1", x)))
}

func (b *builder) conv(name string, x *gorgonia.Node, o conv.Options) *gorgonia.Node {
	return conv.Conv2D(x, b.param(name+".weight"), b.param(name+".bias"), o)
}

func (b *builder) linear(name string, x *gorgonia.Node) *gorgonia.Node {
	return linear.Linear(x, b.param(name+".weight"), b.param(name+".bias"))
}

func (b *builder) norm(name string, x *gorgonia.Node, groups int, silu bool) *gorgonia.Node {
	return groupnorm.GroupNorm(x, b.param(name+".weight"), b.param(name+".bias"), b.normOptions(groups, silu))
}

func (b *builder) normOptions(groups int, silu bool) groupnorm.Options {
	return groupnorm.Options{Groups: groups, Epsilon: b.config.NormEps.Value, SiLU: silu}
}

func (b *builder) param(name string) *gorgonia.Node {
	n := b.params[name]
	if n == nil {
		panic(fmt.Errorf("no parameter %s", name))
	}
	return n
}

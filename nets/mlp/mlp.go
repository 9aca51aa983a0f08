package mlp

import (
	"fmt"

	"fluxion/kernels/concat"
	"fluxion/kernels/embed"
	"fluxion/kernels/pointwise"
	"fluxion/kernels/reshape"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// Apply is the network: see nets.Network. Blocks are those of ResNet (He et al. 2016,
// "Identity mappings"): h + W₂ SiLU(W₁ SiLU(h) + the embedding of time and class).
func (c Config) Apply(s *nets.Scope, in nets.Inputs) nets.Result {
	sample, width := in.Sample, c.HiddenSize
	if c.estimate() {
		sample = concat.Channels(sample, in.Estimate)
	}
	shape := in.Sample.Shape()
	given := sample.Shape().TotalSize() / shape[0]
	embedding := c.embedding(s, in)
	h := s.Linear("proj_in", reshape.To(sample, shape[0], given), width, nets.Glorot)
	blocks := []*gorgonia.Node{h}
	for i := range c.NumBlocks {
		name := fmt.Sprintf("blocks.%d", i)
		r := s.Linear(name+".linear_1", pointwise.SiLU(h), width, nets.Glorot)
		r = pointwise.AddPerImage(r, s.Linear(name+".time_emb_proj", embedding, width, nets.Glorot))
		h = pointwise.Add(h, s.Linear(name+".linear_2", pointwise.SiLU(r), width, nets.Zero))
		blocks = append(blocks, h)
	}
	output := reshape.To(s.Linear("proj_out", pointwise.SiLU(h), c.values(), nets.Zero), shape...)
	return nets.Result{Output: output, Blocks: append(blocks, output)}
}

// TimeFeatures are sines and cosines of the time: see nets.Timed.
func (c Config) TimeFeatures() (embed.TimestepOptions, bool) {
	return embed.TimestepOptions{Dim: c.HiddenSize, FlipSinToCos: true, Scale: 1}, true
}

// embedding of time, jump, guidance and class or numbers (N,width), through SiLU: every block wants it so.
func (c Config) embedding(s *nets.Scope, in nets.Inputs) *gorgonia.Node {
	width := c.HiddenSize
	features, _ := c.TimeFeatures()
	times := func(t *gorgonia.Node) *gorgonia.Node { return embed.Timestep(t, features) }
	of := func(name string, t *gorgonia.Node, start nets.Start) *gorgonia.Node {
		return s.Linear(name+".linear_2", pointwise.SiLU(s.Linear(name+".linear_1", t, width, nets.Glorot)), width, start)
	}
	t := of(nets.TimeEmbedding, times(in.Time), nets.Glorot)
	if c.jump() { // it begins at zero: a flow map begins as the flow whose weights it begins with
		t = pointwise.Add(t, of("jump_embedding", times(in.Jump), nets.Zero))
	}
	if c.Spec().Told() { // so does a student of a guided teacher
		t = pointwise.Add(t, of("guidance_embedding", nets.GuidanceFeatures(in.Guidance, width), nets.Zero))
	}
	switch c.condition() {
	case nets.Timestep:
		t = pointwise.Add(t, of("class_embedding", times(in.Class), nets.Glorot))
	case nets.Identity:
		t = pointwise.Add(t, in.Class)
	}
	if c.NumClassEmbeds > 0 {
		t = pointwise.Add(t, embed.Lookup(s.Param(nets.ClassTable, nets.Init{Normal: 1}, c.NumClassEmbeds, width), in.Class))
	}
	return pointwise.SiLU(t)
}

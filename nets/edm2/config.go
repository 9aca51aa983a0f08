// Package edm2 is the network of Karras et al., "Analyzing and Improving the Training Dynamics of
// Diffusion Models" (2024), configuration G: a UNet whose weights, activations and updates keep
// their size by construction. It has no biases and no norms of groups.
package edm2

import (
	"cmp"
	"slices"

	"fluxion/nets"
)

const className = "FluxionEDM2UNet"

// Config is a FluxionEDM2UNet, by the keys of its config.json. Where null is allowed, the zero
// value means it.
type Config struct {
	nets.Levels

	ChannelMultNoise int         // sines and cosines of the time, as a multiple of ModelChannels; null: as many as the finest level's
	ChannelMultEmb   int         // width of the embedding, as a multiple of ModelChannels; null: as many as the widest level's
	AttentionHeadDim int         // channels of a head, about: a level of fewer has no attention
	LabelBalance     nets.Number // share of a class in the embedding, and of the time the rest
	ConcatBalance    nets.Number // share of what comes from beside on the way up
	ResBalance       nets.Number // share of the branch of a residual block
	AttnBalance      nets.Number // share of attention
	ClipAct          nets.Number // bound of activations
	ConstantClass    bool        // a vector of the network's own stands where that of a class does otherwise
}

// Default is EDM2-S for images of 64×64.
func Default() Config {
	return Config{
		Levels: nets.Levels{
			SampleSize: []int{64}, InChannels: 3, OutChannels: 3, ModelChannels: 192, ChannelMult: []int{1, 2, 3, 4}, NumBlocks: 3, AttentionLevels: []int{2, 3},
			Meta: map[string]any{"_class_name": className},
		},
		AttentionHeadDim: 64, LabelBalance: nets.Number{Value: 0.5}, ConcatBalance: nets.Number{Value: 0.5}, ResBalance: nets.Number{Value: 0.3},
		AttnBalance: nets.Number{Value: 0.3}, ClipAct: nets.Number{Value: 256, Whole: true},
	}
}

// keys are all, and the places of their values.
func (c *Config) keys() []nets.Key {
	return []nets.Key{
		{Name: "sample_size", Place: &c.SampleSize, Nullable: true},
		{Name: "in_channels", Place: &c.InChannels},
		{Name: "out_channels", Place: &c.OutChannels},
		{Name: "model_channels", Place: &c.ModelChannels},
		{Name: "channel_mult", Place: &c.ChannelMult},
		{Name: "channel_mult_noise", Place: &c.ChannelMultNoise, Nullable: true},
		{Name: "channel_mult_emb", Place: &c.ChannelMultEmb, Nullable: true},
		{Name: "num_blocks", Place: &c.NumBlocks},
		{Name: "attention_levels", Place: &c.AttentionLevels},
		{Name: "attention_head_dim", Place: &c.AttentionHeadDim},
		{Name: "label_balance", Place: &c.LabelBalance},
		{Name: "concat_balance", Place: &c.ConcatBalance},
		{Name: "res_balance", Place: &c.ResBalance},
		{Name: "attn_balance", Place: &c.AttnBalance},
		{Name: "clip_act", Place: &c.ClipAct},
		{Name: "dropout", Place: &c.Dropout},
		{Name: "num_class_embeds", Place: &c.NumClassEmbeds, Nullable: true},
		{Name: "constant_class", Place: &c.ConstantClass},
	}
}

// ParseConfig reads a config.json. Missing keys take the defaults. Errors are those of
// nets.ParseKeys, and a *nets.ConfigError of a network that cannot be built.
func ParseConfig(data []byte, ignore ...string) (Config, error) {
	c := Default()
	c.Meta = map[string]any{}
	notes, err := nets.ParseKeys(data, className, c.keys(), c.Meta, func(string, any) bool { return false }, ignore)
	if err != nil {
		return Config{}, err
	}
	c.Noted = c.And(notes...)
	return c, c.Validate()
}

// Validate says whether the network can be built. It returns a *nets.ConfigError that names
// the key and what is supported.
func (c Config) Validate() error {
	if err := cmp.Or(
		c.Check(1), nets.CheckWithin("channel_mult_noise", c.ChannelMultNoise, 0, 64), nets.CheckWithin("channel_mult_emb", c.ChannelMultEmb, 0, 64),
		nets.CheckWithin("attention_head_dim", c.AttentionHeadDim, 1, nets.MostChannels),
	); err != nil {
		return err
	}
	for _, n := range c.Channels() {
		if h := c.heads(n); h > 0 && n%h != 0 {
			return nets.Refuse("attention_head_dim", "is %d, which makes %d heads of %d channels: they cannot be of one size", c.AttentionHeadDim, h, n)
		}
	}
	for _, b := range []struct {
		key   string
		share float64
	}{{"label_balance", c.LabelBalance.Value}, {"concat_balance", c.ConcatBalance.Value}, {"res_balance", c.ResBalance.Value}, {"attn_balance", c.AttnBalance.Value}} {
		if !(b.share > 0 && b.share < 1) {
			return nets.Refuse(b.key, "is %g, want a share between 0 and 1", b.share)
		}
	}
	switch {
	case !(c.ClipAct.Value >= 1 && c.ClipAct.Value <= 1e6):
		return nets.Refuse("clip_act", "is %g, want 1 to 1e6", c.ClipAct.Value)
	case c.ConstantClass && c.NumClassEmbeds > 0:
		return nets.Refuse("constant_class", "is true, and num_class_embeds is %d; want one of the two", c.NumClassEmbeds)
	}
	return c.CheckWeights(c)
}

// heads of attention over so many channels.
func (c Config) heads(channels int) int { return channels / c.AttentionHeadDim }

// noise is how many cosines of the time there are, and embedding the width of what they become.
func (c Config) noise() int {
	if c.ChannelMultNoise > 0 {
		return c.ChannelMultNoise * c.ModelChannels
	}
	return c.Channels()[0]
}

func (c Config) embedding() int {
	if c.ChannelMultEmb > 0 {
		return c.ChannelMultEmb * c.ModelChannels
	}
	return slices.Max(c.Channels())
}

// ClassName is our own.
func (c Config) ClassName() string { return className }

// JSON is the configuration as it is written.
func (c Config) JSON() []byte { return nets.FormatKeys(c.keys(), c.Meta) }

// Spec of the images that the network is for.
func (c Config) Spec() nets.Spec {
	s := c.Images()
	s.UnitTime = true
	return s
}

// Fit returns the network for other images.
func (c Config) Fit(like nets.Spec) (nets.Network, error) {
	c.Levels = c.For(like)
	c.ConstantClass = c.ConstantClass && like.Classes == 0
	return c, c.Validate()
}

// Denoiser is the network itself: it gives nothing else.
func (c Config) Denoiser() (nets.Network, error) { return c, nil }

// WithNotes returns the network with more of them.
func (c Config) WithNotes(lines ...string) nets.Network {
	c.Noted = c.And(lines...)
	return c
}

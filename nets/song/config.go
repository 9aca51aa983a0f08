// Package song is the networks of Song et al., "Score-Based Generative Modeling through
// Stochastic Differential Equations" (2021), as Karras et al., "Elucidating the Design Space of
// Diffusion-Based Generative Models" (2022), train them: DDPM++, and NCSN++ with its residual
// encoder. UNet2DModel cannot be them: every block is scaled by √½, classes are told before
// the embedding's linear maps, and groups of norms follow the channels.
package song

import (
	"cmp"
	"slices"

	"fluxion/nets"
)

const className = "FluxionSongUNet"

// Config is a FluxionSongUNet, by the keys of its config.json. Where null is allowed, the zero
// value means it.
type Config struct {
	nets.Levels

	EmbeddingType    string // of times: "positional" or "fourier"
	ChannelMultNoise int    // width of the embedding's first layer, as a multiple of ModelChannels
	ChannelMultEmb   int    // width of the embedding, as a multiple of ModelChannels
	EncoderType      string // "standard", or "residual": the image goes along on the way down
	ResampleFilter   []int  // by which images and features are halved and doubled
}

// Default is DDPM++ as EDM trains it on CIFAR-10, without dropout.
func Default() Config {
	return Config{
		Levels: nets.Levels{
			SampleSize: []int{32}, InChannels: 3, OutChannels: 3, ModelChannels: 128, ChannelMult: []int{2, 2, 2}, NumBlocks: 4, AttentionLevels: []int{1},
			Meta: map[string]any{"_class_name": className},
		},
		EmbeddingType: positional, ChannelMultNoise: 1, ChannelMultEmb: 4, EncoderType: standard, ResampleFilter: []int{1, 1},
	}
}

const (
	positional = "positional"
	fourier    = "fourier"
	standard   = "standard"
	residual   = "residual"
)

// keys are all, and the places of their values.
func (c *Config) keys() []nets.Key {
	return []nets.Key{
		{Name: "sample_size", Place: &c.SampleSize, Nullable: true},
		{Name: "in_channels", Place: &c.InChannels},
		{Name: "out_channels", Place: &c.OutChannels},
		{Name: "model_channels", Place: &c.ModelChannels},
		{Name: "channel_mult", Place: &c.ChannelMult},
		{Name: "num_blocks", Place: &c.NumBlocks},
		{Name: "attention_levels", Place: &c.AttentionLevels},
		{Name: "embedding_type", Place: &c.EmbeddingType},
		{Name: "channel_mult_noise", Place: &c.ChannelMultNoise},
		{Name: "channel_mult_emb", Place: &c.ChannelMultEmb},
		{Name: "encoder_type", Place: &c.EncoderType},
		{Name: "resample_filter", Place: &c.ResampleFilter},
		{Name: "dropout", Place: &c.Dropout},
		{Name: "num_class_embeds", Place: &c.NumClassEmbeds, Nullable: true},
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
		c.Check(4), nets.CheckWithin("channel_mult_noise", c.ChannelMultNoise, 1, 64), nets.CheckWithin("channel_mult_emb", c.ChannelMultEmb, 1, 64),
	); err != nil {
		return err
	}
	if n := len(c.ResampleFilter); n%2 != 0 || n < 2 || n > 8 || slices.Min(c.ResampleFilter) < 1 || slices.Max(c.ResampleFilter) > 1<<20 || !symmetric(c.ResampleFilter) {
		return nets.Refuse("resample_filter", "is %v, want 2 to 8 positive numbers that read the same from behind, as in 1, 3, 3, 1", c.ResampleFilter)
	}
	switch {
	case c.ModelChannels%4 != 0: // also: the embedding of times is of an even width
		return nets.Refuse("model_channels", "is %d, want a multiple of 4", c.ModelChannels)
	case c.EmbeddingType != positional && c.EmbeddingType != fourier:
		return nets.Refuse("embedding_type", "is %q; supported: %s, %s", c.EmbeddingType, positional, fourier)
	case c.EncoderType != standard && c.EncoderType != residual:
		return nets.Refuse("encoder_type", "is %q; supported: %s, %s", c.EncoderType, standard, residual)
	}
	if err := c.checkGroups(); err != nil {
		return err
	}
	return c.CheckWeights(c)
}

func symmetric(taps []int) bool {
	back := slices.Clone(taps)
	slices.Reverse(back)
	return slices.Equal(back, taps)
}

// checkGroups says whether the groups of norms are of one size, also where features of two
// levels are joined.
func (c Config) checkGroups() error {
	widths := append([]int{c.ModelChannels}, c.Channels()...)
	for _, a := range widths {
		for _, n := range append([]int{a}, sums(a, widths)...) {
			if n%groups(n) != 0 {
				return nets.Refuse("model_channels", "is %d, by which a norm has %d groups of %d channels: they cannot be of one size", c.ModelChannels, groups(n), n)
			}
		}
	}
	return nil
}

func sums(a int, list []int) (all []int) {
	for _, b := range list {
		all = append(all, a+b)
	}
	return all
}

// groups of a norm: 32, and at least four channels each.
func groups(channels int) int { return min(32, channels/4) }

// ClassName is our own.
func (c Config) ClassName() string { return className }

// JSON is the configuration as it is written.
func (c Config) JSON() []byte { return nets.FormatKeys(c.keys(), c.Meta) }

// Spec of the images that the network is for.
func (c Config) Spec() nets.Spec {
	s := c.Images()
	s.UnitTime = c.EmbeddingType == fourier
	return s
}

// Fit returns the network for other images.
func (c Config) Fit(like nets.Spec) (nets.Network, error) {
	c.Levels = c.For(like)
	return c, c.Validate()
}

// Denoiser is the network itself: it gives nothing else.
func (c Config) Denoiser() (nets.Network, error) { return c, nil }

// WithNotes returns the network with more of them.
func (c Config) WithNotes(lines ...string) nets.Network {
	c.Noted = c.And(lines...)
	return c
}

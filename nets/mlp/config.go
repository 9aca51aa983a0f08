// Package mlp is a residual multilayer perceptron for data of few dimensions: it takes
// the whole sample as one vector.
package mlp

import (
	"cmp"
	"fmt"

	"fluxion/nets"
)

const className = "FluxionMLP"

// Config is a FluxionMLP, by the keys of its config.json. Where null is allowed, the
// zero value means it.
type Config struct {
	SampleSize     []int // height and width, or one number for both
	Channels       int   // of a sample
	HiddenSize     int   // numbers of a layer, even
	NumBlocks      int   // residual blocks of two layers
	NumClassEmbeds int   // null: it is told no class

	// Meta is the keys that begin with an underscore, such as _class_name.
	Meta map[string]any

	nets.Noted
}

// Default is for points in the plane.
func Default() Config {
	return Config{SampleSize: []int{1}, Channels: 2, HiddenSize: 128, NumBlocks: 4, Meta: map[string]any{"_class_name": className}}
}

// keys are all, and the places of their values.
func (c *Config) keys() []nets.Key {
	return []nets.Key{
		{Name: "sample_size", Place: &c.SampleSize, Nullable: true},
		{Name: "channels", Place: &c.Channels},
		{Name: "hidden_size", Place: &c.HiddenSize},
		{Name: "num_blocks", Place: &c.NumBlocks},
		{Name: "num_class_embeds", Place: &c.NumClassEmbeds, Nullable: true},
	}
}

// ParseConfig reads a config.json. Missing keys take the defaults. Errors are those of
// nets.ParseKeys, and a *nets.ConfigError of a network that cannot be built.
func ParseConfig(data []byte, ignore ...string) (Config, error) {
	c := Default()
	c.Meta = map[string]any{}
	idle := func(string, any) bool { return false }
	notes, err := nets.ParseKeys(data, className, c.keys(), c.Meta, idle, ignore)
	if err != nil {
		return Config{}, err
	}
	c.Noted = c.And(notes...)
	return c, c.Validate()
}

// mostBlocks is the most that are taken from a file.
const mostBlocks = 256

// Validate says whether the network can be built. It returns a *nets.ConfigError that
// names the key and what is supported.
func (c Config) Validate() error {
	if len(c.SampleSize) == 0 {
		return nets.Refuse("sample_size", "is null, want height and width, since the sample is taken as a whole")
	}
	if err := cmp.Or(
		nets.CheckEach("sample_size", c.SampleSize, 1, nets.MostSide),
		nets.CheckWithin("channels", c.Channels, 1, nets.MostChannels), nets.CheckWithin("hidden_size", c.HiddenSize, 2, nets.MostChannels),
		nets.CheckWithin("num_blocks", c.NumBlocks, 1, mostBlocks), nets.CheckWithin("num_class_embeds", c.NumClassEmbeds, 0, nets.MostRows),
	); err != nil {
		return err
	}
	switch kind, there := c.Meta[nets.ClassEmbedType]; {
	case there && kind != nets.Timestep && kind != nets.Identity:
		return nets.Refuse(nets.ClassEmbedType, "is %v, want %q or %q", kind, nets.Timestep, nets.Identity)
	case there && c.NumClassEmbeds > 0:
		return nets.Refuse(nets.ClassEmbedType, "is %v of a network with num_class_embeds %d; want one of the two", kind, c.NumClassEmbeds)
	}
	if c.HiddenSize%2 != 0 {
		return nets.Refuse("hidden_size", "is %d, but the time embedding needs an even number", c.HiddenSize)
	}
	if weights := nets.Count(nets.Params(c)); weights > nets.MostWeights {
		return nets.Refuse("hidden_size", "is %d, which makes %d weights for samples of %d numbers, want at most %d", c.HiddenSize, weights, c.values(), nets.MostWeights)
	}
	return nil
}

func (c Config) height() int { return c.SampleSize[0] }
func (c Config) width() int  { return c.SampleSize[len(c.SampleSize)-1] }

// values are the numbers of a sample.
func (c Config) values() int { return c.height() * c.width() * c.Channels }

// estimate says whether the network is given its own estimate of the sample.
func (c Config) estimate() bool { return c.Meta[nets.SelfConditioning] == true }

// jump says whether the network is told how far its answer is to lead.
func (c Config) jump() bool { return c.Meta[nets.FlowMap] == true }

// condition is how the network is told numbers of an image; "": it is not.
func (c Config) condition() string {
	kind, _ := c.Meta[nets.ClassEmbedType].(string)
	return kind
}

// ClassName is our own.
func (c Config) ClassName() string { return className }

// JSON is the configuration as it is written.
func (c Config) JSON() []byte { return nets.FormatKeys(c.keys(), c.Meta) }

// Spec of the samples that the network is for.
func (c Config) Spec() nets.Spec {
	pixels := c.height() * c.width()
	s := nets.Spec{
		Height: c.height(), Width: c.width(), Channels: c.Channels, Outputs: c.Channels, Classes: c.NumClassEmbeds, Estimate: c.estimate(), Jump: c.jump(),
		Guidance: nets.GuidanceOf(c.Meta), Widest: 2*c.Channels + (c.HiddenSize+pixels-1)/pixels,
		Condition: c.condition(),
	}
	if s.Condition == nets.Identity {
		s.Embedding = c.HiddenSize
	}
	return s
}

// Fit returns the network for other samples.
func (c Config) Fit(like nets.Spec) (nets.Network, error) {
	c.Meta = nets.WithMeta(nets.WithMeta(c.Meta, nets.SelfConditioning, like.Estimate), nets.FlowMap, like.Jump)
	c.Meta = nets.WithGuidance(c.Meta, like.Guidance)
	c.Meta = nets.WithMeta(c.Meta, nets.ClassEmbedType, like.Condition != "")
	if like.Condition != "" {
		c.Meta[nets.ClassEmbedType] = like.Condition
	}
	c.Channels, c.NumClassEmbeds = like.Channels, like.Classes
	c.SampleSize = like.SampleSize(c.SampleSize)
	return c, c.Validate()
}

// Denoiser is the network itself: it gives nothing else.
func (c Config) Denoiser() (nets.Network, error) { return c, nil }

// WithNotes returns the network with more of them.
func (c Config) WithNotes(lines ...string) nets.Network {
	c.Noted = c.And(lines...)
	return c
}

// Class is FluxionMLP, for the list of all networks.
func Class() nets.Class {
	return nets.Class{
		Name:    className,
		Parse:   func(data []byte, ignore ...string) (nets.Network, error) { return ParseConfig(data, ignore...) },
		Presets: presets(),
	}
}

func presets() []nets.Preset {
	c := Default()
	return []nets.Preset{{
		Name: "mlp", Summary: fmt.Sprintf("no UNet: %d residual layers of %d, for data of few dimensions", 2*c.NumBlocks, c.HiddenSize), Network: c,
		Recipe: nets.Recipe{
			LR: 1e-3, Batch: 128, Warmup: 5_000, Decay: 0.3, Beta2: 0.99, Clip: 1, EMA: 20_000, LabelDrop: 0.1,
			Images: 500_000, CheckpointEvery: 100_000, SampleEvery: 100_000,
		},
	}}
}

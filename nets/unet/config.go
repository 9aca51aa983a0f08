// Package unet is UNet2DModel of diffusers, with its parameter names and its
// configuration.
package unet

import (
	"maps"
	"slices"

	"fluxion/nets"
)

const className = "UNet2DModel"

// Config is a UNet2DModel of diffusers: all its constructor keys under their
// own names. Where diffusers allows null, the zero value means it.
type Config struct {
	SampleSize           []int       // height and width, or one number for both; no effect on weights
	InChannels           int         // those of the noisy image, as OutChannels; of its own estimate; and of a second image
	OutChannels          int         //
	CenterInputSample    bool        // the network sees 2x − 1
	TimeEmbeddingType    string      // "positional", "learned" or "fourier"
	TimeEmbeddingDim     int         // null: four times the first of BlockOutChannels
	FreqShift            nets.Number // of the positional embedding
	FlipSinToCos         bool        // true: cosines first
	DownBlockTypes       []string    // per level, finest first
	MidBlockType         string      // null: no mid block
	UpBlockTypes         []string    // per level, coarsest first
	BlockOutChannels     []int       // per level, finest first
	LayersPerBlock       int         // resnets of a down block; an up block has one more
	MidBlockScaleFactor  nets.Number // divides what resnets and attention of the mid block return
	DownsamplePadding    int         // 0: one row and column, below and to the right
	DownsampleType       string      // of AttnDownBlock2D: "conv" or "resnet"
	UpsampleType         string      // of AttnUpBlock2D: "conv" or "resnet"
	Dropout              nets.Number // in training: the share of each residual block that is left out
	ActFn                string      // see activations
	AttentionHeadDim     int         // size of a head; null: one head over all channels
	NormNumGroups        int         //
	AttnNormNumGroups    int         // mid attention only; null: see midAttentionGroups
	NormEps              nets.Number //
	ResnetTimeScaleShift string      // "default" adds the time, "scale_shift" modulates with it
	AddAttention         bool        // in the mid block
	ClassEmbedType       string      // null, "timestep" or "identity"
	NumClassEmbeds       int         // with ClassEmbedType null: rows of the class table
	NumTrainTimesteps    int         // rows of the table of a learned time embedding

	// Meta is the keys that begin with an underscore, such as _class_name.
	Meta map[string]any

	nets.Noted
}

const diffusersVersion = "0.42.1" // the one the tests compare with

// Default is what UNet2DModel() of diffusers is without arguments.
func Default() Config {
	return Config{
		InChannels:           3,
		OutChannels:          3,
		TimeEmbeddingType:    "positional",
		FreqShift:            nets.Number{Value: 0, Whole: true},
		FlipSinToCos:         true,
		DownBlockTypes:       []string{"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"},
		MidBlockType:         "UNetMidBlock2D",
		UpBlockTypes:         []string{"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"},
		BlockOutChannels:     []int{224, 448, 672, 896},
		LayersPerBlock:       2,
		MidBlockScaleFactor:  nets.Number{Value: 1, Whole: true},
		DownsamplePadding:    1,
		DownsampleType:       "conv",
		UpsampleType:         "conv",
		Dropout:              nets.Number{Value: 0},
		ActFn:                "silu",
		AttentionHeadDim:     8,
		NormNumGroups:        32,
		NormEps:              nets.Number{Value: 1e-5},
		ResnetTimeScaleShift: "default",
		AddAttention:         true,
		Meta:                 map[string]any{"_class_name": className, "_diffusers_version": diffusersVersion},
	}
}

// keys are all, and the places of their values.
func (c *Config) keys() []nets.Key {
	return []nets.Key{
		{Name: "sample_size", Place: &c.SampleSize, Nullable: true},
		{Name: "in_channels", Place: &c.InChannels},
		{Name: "out_channels", Place: &c.OutChannels},
		{Name: "center_input_sample", Place: &c.CenterInputSample},
		{Name: "time_embedding_type", Place: &c.TimeEmbeddingType},
		{Name: "time_embedding_dim", Place: &c.TimeEmbeddingDim, Nullable: true},
		{Name: "freq_shift", Place: &c.FreqShift},
		{Name: "flip_sin_to_cos", Place: &c.FlipSinToCos},
		{Name: "down_block_types", Place: &c.DownBlockTypes},
		{Name: "mid_block_type", Place: &c.MidBlockType, Nullable: true},
		{Name: "up_block_types", Place: &c.UpBlockTypes},
		{Name: "block_out_channels", Place: &c.BlockOutChannels},
		{Name: "layers_per_block", Place: &c.LayersPerBlock},
		{Name: "mid_block_scale_factor", Place: &c.MidBlockScaleFactor},
		{Name: "downsample_padding", Place: &c.DownsamplePadding},
		{Name: "downsample_type", Place: &c.DownsampleType},
		{Name: "upsample_type", Place: &c.UpsampleType},
		{Name: "dropout", Place: &c.Dropout},
		{Name: "act_fn", Place: &c.ActFn},
		{Name: "attention_head_dim", Place: &c.AttentionHeadDim, Nullable: true},
		{Name: "norm_num_groups", Place: &c.NormNumGroups},
		{Name: "attn_norm_num_groups", Place: &c.AttnNormNumGroups, Nullable: true},
		{Name: "norm_eps", Place: &c.NormEps},
		{Name: "resnet_time_scale_shift", Place: &c.ResnetTimeScaleShift},
		{Name: "add_attention", Place: &c.AddAttention},
		{Name: "class_embed_type", Place: &c.ClassEmbedType, Nullable: true},
		{Name: "num_class_embeds", Place: &c.NumClassEmbeds, Nullable: true},
		{Name: "num_train_timesteps", Place: &c.NumTrainTimesteps, Nullable: true},
	}
}

// ParseConfig reads a config.json of diffusers. Missing keys take the defaults
// of diffusers. Errors are those of nets.ParseKeys, and a *nets.ConfigError of a network
// that cannot be built.
func ParseConfig(data []byte, ignore ...string) (Config, error) {
	c := Default()
	c.Meta = map[string]any{}
	notes, err := nets.ParseKeys(data, className, c.keys(), c.Meta, idle, ignore)
	if err != nil {
		return Config{}, err
	}
	c.Noted = c.And(notes...)
	return c, c.Validate()
}

// JSON writes the configuration as diffusers does, to the byte.
func (c Config) JSON() []byte { return nets.FormatKeys(c.keys(), c.Meta) }

// clone lets a configuration be changed without touching its origin.
func (c Config) clone() Config {
	c.SampleSize = slices.Clone(c.SampleSize)
	c.DownBlockTypes = slices.Clone(c.DownBlockTypes)
	c.UpBlockTypes = slices.Clone(c.UpBlockTypes)
	c.BlockOutChannels = slices.Clone(c.BlockOutChannels)
	c.Meta = maps.Clone(c.Meta)
	return c
}

// WithChannels returns the configuration for images of n channels, in and out.
func (c Config) WithChannels(n int) Config {
	return c.withInput(n, c.SelfConditioned(), c.concat())
}

// withInput returns the configuration of a network for images of some channels, with what
// it is given beside the noisy one.
func (c Config) withInput(channels int, estimate bool, concat int) Config {
	c = c.clone()
	c.Meta = nets.WithMeta(c.Meta, nets.SelfConditioning, estimate)
	c.InChannels, c.OutChannels = channels+concat, channels
	if estimate {
		c.InChannels += channels
	}
	return c
}

// concat is the channels of a second image that the network is given behind the noisy one,
// as LDMSuperResolutionPipeline of diffusers gives the small picture: those of InChannels
// that are left.
func (c Config) concat() int {
	left := c.InChannels - c.OutChannels
	if c.SelfConditioned() {
		left -= c.OutChannels
	}
	return max(0, left)
}

// WithConcat returns the configuration of a network that is given a second image of n
// channels, or none.
func (c Config) WithConcat(n int) Config {
	return c.withInput(c.Spec().Channels, c.SelfConditioned(), n)
}

// WithSelfConditioning returns the configuration for images of as many channels
// as before, whose network conditions on its own estimate or does not.
func (c Config) WithSelfConditioning(on bool) Config {
	return c.withInput(c.Spec().Channels, on, c.concat())
}

// WithJump returns the configuration of a network that is told how far its answer is to
// lead, or is not. One without classes is told that in the place of a class, as diffusers
// has it: as class_labels, by class_embed_type "timestep". One with a table of classes, or
// that is told numbers, has an embedding more, which diffusers does not know.
func (c Config) WithJump(on bool) Config {
	c = c.clone()
	if c.jumpsAsClass() {
		c.ClassEmbedType = ""
	}
	c.Meta = nets.WithMeta(c.Meta, nets.FlowMap, on)
	if on && !c.Conditional() {
		c.ClassEmbedType = nets.Timestep
	}
	return c
}

// Augmented says whether the network is told in training how images were transformed.
func (c Config) Augmented() bool { return c.Meta[nets.Augmented] == true }

// WithGuidance returns the configuration of a network that is told the scale of its
// guidance, within a range, or is not. diffusers does not know its embedding.
func (c Config) WithGuidance(scales [2]float64) Config {
	c = c.clone()
	c.Meta = nets.WithGuidance(c.Meta, scales)
	return c
}

// told says whether the network is told the scale of its guidance.
func (c Config) told() bool { return nets.GuidanceOf(c.Meta) != [2]float64{} }

// Jumps says whether the network is told how far its answer is to lead.
func (c Config) Jumps() bool { return c.Meta[nets.FlowMap] == true }

// jumpsAsClass says whether it is told that in the place of a class.
func (c Config) jumpsAsClass() bool {
	return c.Jumps() && c.ClassEmbedType == nets.Timestep && c.Meta[nets.JumpEmbedding] != true
}

// fourier is the time_embedding_type of a network that is told a noise level, of whose
// logarithm it takes sines and cosines, and which gives a score: its output is divided by that level.
const fourier = "fourier"

// fourierScale is the deviation of their frequencies.
const fourierScale = 16

// SelfConditioned says whether the network conditions on its own estimate of the
// image: behind the noisy image, and a second one if there is, its input has x̂ in as many
// channels, or 0 where there is none yet.
func (c Config) SelfConditioned() bool { return c.Meta[nets.SelfConditioning] == true }

// WithClasses returns the configuration with a table of k classes; k counts
// the null class that classifier-free guidance needs. No classes if k is 0.
func (c Config) WithClasses(k int) Config {
	c = c.clone()
	c.ClassEmbedType, c.NumClassEmbeds = "", k
	return c
}

// WithSize returns the configuration for square images of side n.
func (c Config) WithSize(n int) Config {
	c = c.clone()
	c.SampleSize = []int{n}
	return c
}

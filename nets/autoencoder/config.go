// Package autoencoder is AutoencoderKL of diffusers, the variational autoencoder of latent
// diffusion (Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models",
// 2022), with its parameter names and its configuration. It is for use: none is trained.
package autoencoder

import (
	"fmt"
	"math"
	"slices"

	"fluxion/nets"
	"fluxion/nets/pyjson"
)

const className = "AutoencoderKL"

// Config is an AutoencoderKL of diffusers: its constructor keys under their own names.
type Config struct {
	InChannels, OutChannels int         // of an image, to the encoder and from the decoder
	DownBlockTypes          []string    // per level, finest first
	UpBlockTypes            []string    // per level, coarsest first
	BlockOutChannels        []int       // per level, finest first
	LayersPerBlock          int         // resnets of a down block; an up block has one more
	ActFn                   string      // "silu" or its other name "swish"
	LatentChannels          int         //
	NormNumGroups           int         //
	SampleSize              []int       // side of the images that it is made for: of a tile, where images are tiled
	ScalingFactor           nets.Number // that latents are multiplied by for a denoiser
	ShiftFactor             nets.Number // that is taken from them before; null: 0
	LatentsMean             []nets.Number
	LatentsStd              []nets.Number
	UseQuantConv            bool
	UsePostQuantConv        bool
	MidBlockAddAttention    bool

	// ForceUpcast says that its activations leave the range of float16. It is not heeded:
	// there are float32 and bfloat16 here, whose ranges are the same.
	ForceUpcast bool

	text []byte // the config.json
	nets.Noted
}

func (c *Config) keys() []nets.Key {
	return []nets.Key{
		{Name: "in_channels", Place: &c.InChannels},
		{Name: "out_channels", Place: &c.OutChannels},
		{Name: "down_block_types", Place: &c.DownBlockTypes},
		{Name: "up_block_types", Place: &c.UpBlockTypes},
		{Name: "block_out_channels", Place: &c.BlockOutChannels},
		{Name: "layers_per_block", Place: &c.LayersPerBlock},
		{Name: "act_fn", Place: &c.ActFn},
		{Name: "latent_channels", Place: &c.LatentChannels},
		{Name: "norm_num_groups", Place: &c.NormNumGroups},
		{Name: "sample_size", Place: &c.SampleSize, Nullable: true},
		{Name: "scaling_factor", Place: &c.ScalingFactor},
		{Name: "shift_factor", Place: &c.ShiftFactor, Nullable: true},
		{Name: "latents_mean", Place: &c.LatentsMean, Nullable: true},
		{Name: "latents_std", Place: &c.LatentsStd, Nullable: true},
		{Name: "force_upcast", Place: &c.ForceUpcast},
		{Name: "use_quant_conv", Place: &c.UseQuantConv},
		{Name: "use_post_quant_conv", Place: &c.UsePostQuantConv},
		{Name: "mid_block_add_attention", Place: &c.MidBlockAddAttention},
	}
}

// defaults is what AutoencoderKL() of diffusers is without arguments.
func defaults() Config {
	return Config{
		InChannels: 3, OutChannels: 3, DownBlockTypes: []string{"DownEncoderBlock2D"}, UpBlockTypes: []string{"UpDecoderBlock2D"}, BlockOutChannels: []int{64},
		LayersPerBlock: 1, ActFn: "silu", LatentChannels: 4, NormNumGroups: 32, SampleSize: []int{32}, ScalingFactor: nets.Number{Value: 0.18215},
		ForceUpcast: true, UseQuantConv: true, UsePostQuantConv: true, MidBlockAddAttention: true,
	}
}

// Parse reads a config.json. Unknown keys to ignore are left out, with a note.
func Parse(text []byte, ignore ...string) (Config, error) {
	values, err := pyjson.Unmarshal(text)
	if err != nil {
		return Config{}, err
	}
	if of, said := values["_class_name"]; said && of != className { // before its keys are held against those of another class
		return Config{}, nets.Refuse("_class_name", "is %v; of autoencoders, %s is supported", of, className)
	}
	c := defaults()
	c.text = text
	notes, err := nets.ParseKeys(text, className, c.keys(), map[string]any{}, func(string, any) bool { return false }, ignore)
	if err != nil {
		return Config{}, err
	}
	c.Noted = c.And(notes...)
	return c, c.Validate()
}

// JSON is its config.json, to the byte.
func (c Config) JSON() []byte { return c.text }

// Factor is how many pixels of an image a latent is wide and high.
func (c Config) Factor() int { return 1 << (len(c.BlockOutChannels) - 1) }

// Tile is the side of a tile where images are tiled, unless another is asked for.
func (c Config) Tile() int { return c.SampleSize[0] }

// CheckSize says why images of a size cannot be encoded.
func (c Config) CheckSize(height, width int) error {
	if f := c.Factor(); height < f || width < f || height%f != 0 || width%f != 0 {
		return fmt.Errorf("images of %d×%d pixels, which cannot be halved %d times as the autoencoder does; want multiples of %d", width, height, len(c.BlockOutChannels)-1, f)
	}
	return nil
}

// Scaling is what makes latents of the autoencoder those of a denoiser, (x − shift)·scale of
// each channel. It is that of diffusers' pipelines: shift_factor and scaling_factor, or, where
// the configuration has them, latents_mean and scaling_factor/latents_std.
func (c Config) Scaling() (shift, scale []float64) {
	for i := range c.LatentChannels {
		m, s := c.ShiftFactor.Value, c.ScalingFactor.Value
		if c.LatentsMean != nil && c.LatentsStd != nil {
			m, s = c.LatentsMean[i].Value, s/c.LatentsStd[i].Value
		}
		shift, scale = append(shift, m), append(scale, s)
	}
	return shift, scale
}

// Bounds of a configuration from a file. Each is far beyond what was ever published.
const (
	mostLevels   = 10
	mostLayers   = 32
	mostChannels = 1 << 13
)

// Validate says whether the network can be built, with a *nets.ConfigError that names the key.
func (c Config) Validate() error {
	for _, check := range []func() error{c.checkNumbers, c.checkLevels, c.checkScaling, c.checkWeights} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) checkNumbers() error {
	for _, n := range []struct {
		key         string
		value, most int
	}{
		{"in_channels", c.InChannels, mostChannels}, {"out_channels", c.OutChannels, mostChannels}, {"latent_channels", c.LatentChannels, mostChannels},
		{"layers_per_block", c.LayersPerBlock, mostLayers}, {"norm_num_groups", c.NormNumGroups, mostChannels},
	} {
		if n.value < 1 || n.value > n.most {
			return nets.Refuse(n.key, "is %d, want a number from 1 to %d", n.value, n.most)
		}
	}
	switch {
	case c.InChannels != c.OutChannels:
		return nets.Refuse("out_channels", "is %d and in_channels %d; want equal numbers", c.OutChannels, c.InChannels)
	case c.ActFn != "silu" && c.ActFn != "swish":
		return nets.Refuse("act_fn", "is %q; supported: silu, swish", c.ActFn)
	case len(c.SampleSize) == 0 || slices.Min(c.SampleSize) < 1 || slices.Max(c.SampleSize) > 1<<14:
		return nets.Refuse("sample_size", "is %v, want a number from 1 to %d", c.SampleSize, 1<<14)
	}
	return nil
}

func (c Config) checkLevels() error {
	n := len(c.BlockOutChannels)
	switch {
	case n == 0 || n > mostLevels:
		return nets.Refuse("block_out_channels", "has %d levels, want 1 to %d", n, mostLevels)
	case len(c.DownBlockTypes) != n:
		return nets.Refuse("down_block_types", "has %d levels, block_out_channels has %d", len(c.DownBlockTypes), n)
	case len(c.UpBlockTypes) != n:
		return nets.Refuse("up_block_types", "has %d levels, block_out_channels has %d", len(c.UpBlockTypes), n)
	}
	for i, channels := range c.BlockOutChannels {
		switch {
		case channels < 1 || channels > mostChannels:
			return nets.Refuse("block_out_channels", "has %d, want numbers from 1 to %d", channels, mostChannels)
		case channels%c.NormNumGroups != 0:
			return nets.Refuse("norm_num_groups", "is %d, which does not divide the %d channels of level %d", c.NormNumGroups, channels, i)
		}
	}
	for _, list := range []struct {
		key            string
		types          []string
		plain, attends string
	}{{"down_block_types", c.DownBlockTypes, downBlock, attnDownBlock}, {"up_block_types", c.UpBlockTypes, upBlock, attnUpBlock}} {
		for _, t := range list.types {
			if t != list.plain && t != list.attends {
				return nets.Refuse(list.key, "has %s; supported: %s, %s", t, list.plain, list.attends)
			}
		}
	}
	return nil
}

func (c Config) checkScaling() error {
	finite := func(x float64) bool { return x-x == 0 }
	switch {
	case !finite(c.ScalingFactor.Value) || c.ScalingFactor.Value == 0:
		return nets.Refuse("scaling_factor", "is %g, want a finite number other than 0", c.ScalingFactor.Value)
	case !finite(c.ShiftFactor.Value):
		return nets.Refuse("shift_factor", "is %g, want a finite number", c.ShiftFactor.Value)
	case (c.LatentsMean == nil) != (c.LatentsStd == nil):
		return nets.Refuse("latents_std", "and latents_mean belong together; want both, or null for both")
	}
	for _, list := range []struct {
		key    string
		values []nets.Number
	}{{"latents_mean", c.LatentsMean}, {"latents_std", c.LatentsStd}} {
		if list.values != nil && len(list.values) != c.LatentChannels {
			return nets.Refuse(list.key, "has %d numbers, want one for each of the %d latent_channels", len(list.values), c.LatentChannels)
		}
		for _, x := range list.values {
			if !finite(x.Value) || list.key == "latents_std" && !(x.Value > 0) {
				return nets.Refuse(list.key, "has %g, want finite numbers, and deviations above 0", x.Value)
			}
		}
	}
	return nil
}

// checkWeights lists the weights, and makes none.
func (c Config) checkWeights() error {
	params, err := c.params()
	if err == nil && nets.Count(params) > min(nets.MostWeights, math.MaxInt) {
		err = nets.Refuse("block_out_channels", "is %v, which makes %d weights, want at most %d", c.BlockOutChannels, nets.Count(params), nets.MostWeights)
	}
	return err
}

package nets

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"fluxion/data/lookup"
	"fluxion/nets/pyjson"
)

// Config is a UNet2DModel of diffusers: all its constructor keys under their
// own names. Where diffusers allows null, the zero value means it.
type Config struct {
	SampleSize           []int    // height and width, or one number for both; no effect on weights
	InChannels           int      // twice OutChannels where the network conditions on its own estimate
	OutChannels          int      //
	CenterInputSample    bool     // the network sees 2x − 1
	TimeEmbeddingType    string   // "positional" or "learned"
	TimeEmbeddingDim     int      // null: four times the first of BlockOutChannels
	FreqShift            Number   // of the positional embedding
	FlipSinToCos         bool     // true: cosines first
	DownBlockTypes       []string // per level, finest first
	MidBlockType         string   // null: no mid block
	UpBlockTypes         []string // per level, coarsest first
	BlockOutChannels     []int    // per level, finest first
	LayersPerBlock       int      // resnets of a down block; an up block has one more
	MidBlockScaleFactor  Number   // divides what resnets and attention of the mid block return
	DownsamplePadding    int      // 0: one row and column, below and to the right
	DownsampleType       string   // of AttnDownBlock2D: "conv" or "resnet"
	UpsampleType         string   // of AttnUpBlock2D: "conv" or "resnet"
	Dropout              Number   // of training elsewhere: there is none here, and none in sampling anywhere
	ActFn                string   // "silu" or its other name "swish"
	AttentionHeadDim     int      // size of a head; null: one head over all channels
	NormNumGroups        int      //
	AttnNormNumGroups    int      // mid attention only; null: see midAttentionGroups
	NormEps              Number   //
	ResnetTimeScaleShift string   // "default" adds the time, "scale_shift" modulates with it
	AddAttention         bool     // in the mid block
	ClassEmbedType       string   // null, "timestep" or "identity"
	NumClassEmbeds       int      // with ClassEmbedType null: rows of the class table
	NumTrainTimesteps    int      // rows of the table of a learned time embedding

	// Meta is the keys that begin with an underscore, such as _class_name.
	Meta map[string]any

	// Notes say what of a folder was not heeded, and which of several files was read:
	// who opens it should know. They are no part of the configuration.
	Notes []string
}

// Number is a number of a configuration, which remembers whether it was
// written as a whole number: Python keeps 1 and 1.0 apart.
type Number struct {
	Value float64
	Whole bool
}

// selfConditioning is the key of a network that conditions on its own estimate of
// the image: true, or not there. diffusers takes no notice of keys that begin with
// an underscore, and keeps them. That in_channels is twice out_channels would not
// do: so it is for super-resolution, too, which is given a picture there.
const selfConditioning = "_self_conditioning"

const diffusersVersion = "0.42.1" // the one the tests compare with

// Default is what UNet2DModel() of diffusers is without arguments.
func Default() Config {
	return Config{
		InChannels:           3,
		OutChannels:          3,
		TimeEmbeddingType:    "positional",
		FreqShift:            Number{0, true},
		FlipSinToCos:         true,
		DownBlockTypes:       []string{"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"},
		MidBlockType:         "UNetMidBlock2D",
		UpBlockTypes:         []string{"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"},
		BlockOutChannels:     []int{224, 448, 672, 896},
		LayersPerBlock:       2,
		MidBlockScaleFactor:  Number{1, true},
		DownsamplePadding:    1,
		DownsampleType:       "conv",
		UpsampleType:         "conv",
		Dropout:              Number{0, false},
		ActFn:                "silu",
		AttentionHeadDim:     8,
		NormNumGroups:        32,
		NormEps:              Number{1e-5, false},
		ResnetTimeScaleShift: "default",
		AddAttention:         true,
		Meta:                 map[string]any{"_class_name": "UNet2DModel", "_diffusers_version": diffusersVersion},
	}
}

// field is one key and the place of its value in a Config.
type field struct {
	key      string
	place    any // *bool, *int, *Number, *string, *[]int or *[]string
	nullable bool
}

func (c *Config) fields() []field {
	return []field{
		{"sample_size", &c.SampleSize, true},
		{"in_channels", &c.InChannels, false},
		{"out_channels", &c.OutChannels, false},
		{"center_input_sample", &c.CenterInputSample, false},
		{"time_embedding_type", &c.TimeEmbeddingType, false},
		{"time_embedding_dim", &c.TimeEmbeddingDim, true},
		{"freq_shift", &c.FreqShift, false},
		{"flip_sin_to_cos", &c.FlipSinToCos, false},
		{"down_block_types", &c.DownBlockTypes, false},
		{"mid_block_type", &c.MidBlockType, true},
		{"up_block_types", &c.UpBlockTypes, false},
		{"block_out_channels", &c.BlockOutChannels, false},
		{"layers_per_block", &c.LayersPerBlock, false},
		{"mid_block_scale_factor", &c.MidBlockScaleFactor, false},
		{"downsample_padding", &c.DownsamplePadding, false},
		{"downsample_type", &c.DownsampleType, false},
		{"upsample_type", &c.UpsampleType, false},
		{"dropout", &c.Dropout, false},
		{"act_fn", &c.ActFn, false},
		{"attention_head_dim", &c.AttentionHeadDim, true},
		{"norm_num_groups", &c.NormNumGroups, false},
		{"attn_norm_num_groups", &c.AttnNormNumGroups, true},
		{"norm_eps", &c.NormEps, false},
		{"resnet_time_scale_shift", &c.ResnetTimeScaleShift, false},
		{"add_attention", &c.AddAttention, false},
		{"class_embed_type", &c.ClassEmbedType, true},
		{"num_class_embeds", &c.NumClassEmbeds, true},
		{"num_train_timesteps", &c.NumTrainTimesteps, true},
	}
}

// ConfigError is a key whose value cannot be used.
type ConfigError struct {
	File    string // "" if the configuration came from no file
	Key     string
	Problem string // what is wrong, and what would be right
}

func (e *ConfigError) Error() string {
	text := "config key " + e.Key + ": " + e.Problem
	if e.File != "" {
		text = e.File + ": " + text
	}
	return text
}

func refuse(key, format string, args ...any) error {
	return &ConfigError{Key: key, Problem: fmt.Sprintf(format, args...)}
}

// ParseConfig reads a config.json of diffusers. Missing keys take the defaults
// of diffusers. Unknown keys that change nothing, and those to ignore, are left
// out and named in Notes; others, a value of the wrong type and a network that
// cannot be built are errors, a *ConfigError, or *pyjson.Error if it is no JSON
// object at all.
func ParseConfig(data []byte, ignore ...string) (Config, error) {
	values, err := pyjson.Unmarshal(data)
	if err != nil {
		return Config{}, err
	}
	c := Default()
	c.Meta = map[string]any{}
	places := map[string]field{}
	for _, f := range c.fields() {
		places[f.key] = f
	}
	var ignored []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		f, known := places[key]
		switch {
		case known:
			if err := f.set(values[key]); err != nil {
				return Config{}, err
			}
		case strings.HasPrefix(key, "_"):
			c.Meta[key] = values[key]
		case idle(key, values[key]), slices.Contains(ignore, key):
			ignored = append(ignored, key)
		default:
			hint := ""
			if near, ok := lookup.Nearest(key, slices.Sorted(maps.Keys(places))); ok {
				hint = "did you mean " + near + "? "
			}
			return Config{}, refuse(key, "is not one of UNet2DModel; %s--ignore-key %s opens the model without it", hint, key)
		}
	}
	if ignored != nil {
		c.Notes = append(c.Notes, configFile+": ignored "+strings.Join(ignored, ", "))
	}
	if class, ok := c.Meta["_class_name"]; ok && class != "UNet2DModel" {
		return Config{}, refuse("_class_name", "is %v, only UNet2DModel is supported", class)
	}
	return c, c.Validate()
}

// set puts a value where it belongs.
func (f field) set(v any) error {
	ok := true
	switch p := f.place.(type) {
	case *bool:
		*p, ok = v.(bool)
	case *int:
		*p, ok = integer(v)
	case *string:
		*p, ok = v.(string)
	case *Number:
		switch x := v.(type) {
		case int64:
			*p = Number{float64(x), true}
		case float64:
			*p = Number{x, false}
		default:
			ok = false
		}
	case *[]string:
		*p, ok = list(v, func(e any) (s string, ok bool) { s, ok = e.(string); return })
	case *[]int:
		if *p, ok = list(v, integer); ok && f.nullable && len(*p) != 2 {
			return refuse(f.key, "has %d numbers, want height and width", len(*p))
		}
		if n, single := integer(v); single && f.nullable {
			*p, ok = []int{n}, true
		}
	}
	if v == nil && f.nullable {
		return nil // the failed conversions above left the zero value
	}
	if !ok {
		return refuse(f.key, "is %s, want %s", strings.TrimSpace(string(show(v))), f.wants())
	}
	return f.nonNull()
}

// nonNull keeps a written 0 or "" from being taken for null.
func (f field) nonNull() error {
	switch p := f.place.(type) {
	case *int:
		if f.nullable && *p <= 0 {
			return refuse(f.key, "is %d, want null or a positive number", *p)
		}
	case *string:
		if *p == "" {
			return refuse(f.key, "is empty, want %s", f.wants())
		}
	}
	return nil
}

func integer(v any) (int, bool) {
	i, ok := v.(int64)
	return int(i), ok && i == int64(int32(i))
}

func list[T any](v any, element func(any) (T, bool)) ([]T, bool) {
	values, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]T, len(values))
	for i, e := range values {
		if out[i], ok = element(e); !ok {
			return nil, false
		}
	}
	return out, true
}

func (f field) wants() string {
	kinds := map[string]string{
		"*bool": "true or false", "*int": "a whole number", "*string": "a string", "*nets.Number": "a number",
		"*[]string": "a list of strings", "*[]int": "a list of whole numbers",
	}
	s := kinds[fmt.Sprintf("%T", f.place)]
	if f.nullable {
		s += " or null"
	}
	return s
}

func show(v any) string {
	b := string(pyjson.Marshal(map[string]any{"": v}))
	return strings.Join(strings.Fields(strings.TrimSuffix(strings.TrimPrefix(b, "{\n  \"\": "), "\n}\n")), " ")
}

// JSON writes the configuration as diffusers does, to the byte.
func (c Config) JSON() []byte {
	values := maps.Clone(c.Meta)
	if values == nil {
		values = map[string]any{}
	}
	for _, f := range c.fields() {
		values[f.key] = f.get()
	}
	return pyjson.Marshal(values)
}

// get returns the value that set would have been given.
func (f field) get() any {
	switch p := f.place.(type) {
	case *bool:
		return *p
	case *int:
		if f.nullable && *p == 0 {
			return nil
		}
		return int64(*p)
	case *string:
		if f.nullable && *p == "" {
			return nil
		}
		return *p
	case *Number:
		if p.Whole {
			return int64(p.Value)
		}
		return p.Value
	case *[]string:
		return generic(*p, func(s string) any { return s })
	case *[]int:
		switch {
		case f.nullable && len(*p) == 0:
			return nil
		case f.nullable && len(*p) == 1:
			return int64((*p)[0])
		}
		return generic(*p, func(i int) any { return int64(i) })
	}
	panic("unreachable: no such kind of field")
}

func generic[T any](list []T, value func(T) any) []any {
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = value(e)
	}
	return out
}

// clone lets a configuration be changed without touching its origin.
func (c Config) clone() Config {
	c.SampleSize = slices.Clone(c.SampleSize)
	c.DownBlockTypes = slices.Clone(c.DownBlockTypes)
	c.UpBlockTypes = slices.Clone(c.UpBlockTypes)
	c.BlockOutChannels = slices.Clone(c.BlockOutChannels)
	c.Meta = maps.Clone(c.Meta)
	c.Notes = slices.Clone(c.Notes)
	return c
}

// WithChannels returns the configuration for images of n channels, in and out.
func (c Config) WithChannels(n int) Config {
	c = c.clone()
	c.InChannels, c.OutChannels = n, n
	if c.SelfConditioned() {
		c.InChannels = 2 * n
	}
	return c
}

// WithSelfConditioning returns the configuration for images of as many channels
// as before, whose network conditions on its own estimate or does not.
func (c Config) WithSelfConditioning(on bool) Config {
	c = c.clone()
	if c.Meta == nil {
		c.Meta = map[string]any{}
	}
	delete(c.Meta, selfConditioning)
	if on {
		c.Meta[selfConditioning] = true
	}
	return c.WithChannels(c.OutChannels)
}

// SelfConditioned says whether the network conditions on its own estimate of the
// image: its input is the noisy image and, in as many channels behind it, x̂, or 0
// where there is none yet.
func (c Config) SelfConditioned() bool { return c.Meta[selfConditioning] == true }

// Variance says whether the network gives a variance, too, as in Nichol and
// Dhariwal, "Improved DDPM" (2021): in as many channels behind the others.
func (c Config) Variance() bool { return c.OutChannels == 2*c.InChannels }

// WithoutVariance returns the configuration of the network without the last half of
// its outputs, with a note that says so.
func (c Config) WithoutVariance() Config {
	c = c.clone()
	c.OutChannels = c.InChannels
	c.Notes = append(c.Notes, "the network gives a variance, too: its half of out_channels is left out, samplers use their own")
	return c
}

// CheckImages says why the network does not make images out of noisy ones alone.
func (c Config) CheckImages() error {
	if c.Variance() {
		return refuse("out_channels", "is twice in_channels: the network gives a variance, too (variance_type learned); want one that does not")
	}
	if c.InChannels != c.WithChannels(c.OutChannels).InChannels {
		return refuse("in_channels", "is %d and out_channels %d; want equal numbers, or twice as many in and %q: true",
			c.InChannels, c.OutChannels, selfConditioning)
	}
	return nil
}

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

package unet

import (
	"math"
	"slices"
	"strings"

	"fluxion/nets"
)

// Validate says whether the network can be built. It returns a *nets.ConfigError
// that names the key and what is supported.
func (c Config) Validate() error {
	for _, check := range []func() error{c.checkNumbers, c.checkLevels, c.checkChoices, c.checkOwn, c.checkEmbeddings, c.checkChannels, c.checkSkips, c.checkSize} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) checkNumbers() error {
	for _, n := range []struct {
		key                string
		value, least, most int
	}{
		{"in_channels", c.InChannels, 1, nets.MostChannels}, {"out_channels", c.OutChannels, 1, nets.MostChannels},
		{"layers_per_block", c.LayersPerBlock, 1, nets.MostLayers}, {"norm_num_groups", c.NormNumGroups, 1, nets.MostChannels},
		{"time_embedding_dim", c.TimeEmbeddingDim, 0, 4 * nets.MostChannels}, {"attention_head_dim", c.AttentionHeadDim, 0, nets.MostChannels},
		{"attn_norm_num_groups", c.AttnNormNumGroups, 0, nets.MostChannels}, {"num_class_embeds", c.NumClassEmbeds, 0, nets.MostRows},
		{"num_train_timesteps", c.NumTrainTimesteps, 0, nets.MostRows},
	} {
		switch {
		case n.value < n.least:
			return nets.Refuse(n.key, "is %d, want at least %d", n.value, n.least)
		case n.value > n.most:
			return nets.Refuse(n.key, "is %d, want at most %d", n.value, n.most)
		}
	}
	for _, n := range c.SampleSize {
		if n < 1 {
			return nets.Refuse("sample_size", "is %v, want positive numbers", c.SampleSize)
		}
		if n > nets.MostSide {
			return nets.Refuse("sample_size", "is %v, want at most %d", c.SampleSize, nets.MostSide)
		}
	}
	switch {
	case c.SelfConditioned() && c.InChannels < 2*c.OutChannels:
		return nets.Refuse("in_channels", "is %d; a network that conditions on its own estimate takes at least twice its out_channels, %d", c.InChannels, 2*c.OutChannels)
	case !(c.NormEps.Value > 0) || math.IsInf(c.NormEps.Value, 0):
		return nets.Refuse("norm_eps", "is %g, want a small positive number such as 1e-5", c.NormEps.Value)
	case c.MidBlockScaleFactor.Value == 0 || c.MidBlockScaleFactor.Value-c.MidBlockScaleFactor.Value != 0:
		return nets.Refuse("mid_block_scale_factor", "is %g, want a finite number other than 0", c.MidBlockScaleFactor.Value)
	case c.DownsamplePadding != 0 && c.DownsamplePadding != 1:
		return nets.Refuse("downsample_padding", "is %d, supported are 0 and 1", c.DownsamplePadding)
	}
	return nets.CheckDropout(c.Dropout)
}

func (c Config) checkLevels() error {
	n := len(c.BlockOutChannels)
	switch {
	case n == 0:
		return nets.Refuse("block_out_channels", "is empty, want one number a level")
	case n > nets.MostLevels:
		return nets.Refuse("block_out_channels", "has %d levels, want at most %d", n, nets.MostLevels)
	case len(c.DownBlockTypes) != n:
		return nets.Refuse("down_block_types", "has %d levels, block_out_channels has %d", len(c.DownBlockTypes), n)
	case len(c.UpBlockTypes) != n:
		return nets.Refuse("up_block_types", "has %d levels, block_out_channels has %d", len(c.UpBlockTypes), n)
	}
	for _, list := range []struct {
		key   string
		types []string
		known map[string]blockKind
	}{{"down_block_types", c.DownBlockTypes, c.downKinds()}, {"up_block_types", c.UpBlockTypes, c.upKinds()}} {
		for _, t := range list.types {
			if _, ok := list.known[blockName(t)]; !ok {
				return nets.Refuse(list.key, "has %s; supported: %s", t, keys(list.known))
			}
		}
	}
	return nil
}

func keys(m map[string]blockKind) string {
	var names []string
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (c Config) checkChoices() error {
	for _, choice := range []struct {
		key, value string
		supported  []string
	}{
		{"time_embedding_type", c.TimeEmbeddingType, []string{"positional", "learned", fourier}},
		{"mid_block_type", c.MidBlockType, []string{"UNetMidBlock2D", ""}},
		{"downsample_type", c.DownsampleType, []string{"conv", "resnet"}},
		{"upsample_type", c.UpsampleType, []string{"conv", "resnet"}},
		{"act_fn", strings.ToLower(c.ActFn), activationNames()},
		{"resnet_time_scale_shift", c.ResnetTimeScaleShift, []string{"default", "scale_shift"}},
		{"class_embed_type", c.ClassEmbedType, []string{"", nets.Timestep, nets.Identity}},
	} {
		if !slices.Contains(choice.supported, choice.value) {
			names := strings.Join(choice.supported, ", ")
			if slices.Contains(choice.supported, "") {
				names = strings.Trim(strings.ReplaceAll(names, ", , ", ", "), ", ") + ", null"
			}
			return nets.Refuse(choice.key, "is %q; supported: %s", choice.value, names)
		}
	}
	return nil
}

func (c Config) checkEmbeddings() error {
	c0 := c.BlockOutChannels[0]
	switch {
	case c.TimeEmbeddingType == "learned" && c.NumTrainTimesteps == 0:
		return nets.Refuse("num_train_timesteps", "is null, but the learned time embedding needs the number of its rows")
	case c.TimeEmbeddingType == "learned" && c.Jumps():
		return nets.Refuse("time_embedding_type", "is \"learned\", but times and jumps of a flow map are no rows of a table; want \"positional\"")
	case c.TimeEmbeddingType == fourier && c.Jumps():
		return nets.Refuse("time_embedding_type", "is %q, but jumps of a flow map may be 0, which has no logarithm; want \"positional\"", fourier)
	case c.TimeEmbeddingType == fourier && c.ClassEmbedType == nets.Timestep:
		return nets.Refuse("class_embed_type", "is %q with a time embedding %q: classes may be 0, which has no logarithm", nets.Timestep, fourier)
	case c.Meta[nets.JumpEmbedding] == true && (!c.Jumps() || c.ClassEmbedType == ""):
		return nets.Refuse(nets.JumpEmbedding, "is true of a network with class_embed_type %q; it is of a flow map (%s) that is told numbers", c.ClassEmbedType, nets.FlowMap)
	case c.Jumps() && c.ClassEmbedType == nets.Identity && c.Meta[nets.JumpEmbedding] != true, c.Jumps() && c.ClassEmbedType == "" && !c.classTable(), c.jumpsAsClass() && c.NumClassEmbeds != 0:
		return nets.Refuse("class_embed_type", "is %q with num_class_embeds %d; a flow map (%s) has \"timestep\" without classes, and null with them", c.ClassEmbedType, c.NumClassEmbeds, nets.FlowMap)
	case c.told() && c0%2 != 0:
		return nets.Refuse("block_out_channels", "begins with %d, but the embedding of guidance needs an even number", c0)
	case c.TimeEmbeddingType == "positional" && c.timeChannels()%2 != 0:
		return nets.Refuse("block_out_channels", "begins with %d, but the positional time embedding needs an even number", c0)
	case c.TimeEmbeddingType == "positional" && float64(c.timeChannels()/2) == c.FreqShift.Value, c.FreqShift.Value-c.FreqShift.Value != 0:
		return nets.Refuse("freq_shift", "is %g; supported is any finite number but half of the first of block_out_channels, %d", c.FreqShift.Value, c.timeChannels()/2)
	}
	return nil
}

func (c Config) checkChannels() error {
	for i, n := range c.BlockOutChannels {
		switch {
		case n < 1:
			return nets.Refuse("block_out_channels", "has %d, want positive numbers", n)
		case n > nets.MostChannels:
			return nets.Refuse("block_out_channels", "has %d, want at most %d", n, nets.MostChannels)
		case n%c.NormNumGroups != 0:
			return nets.Refuse("norm_num_groups", "is %d, which does not divide the %d channels of level %d", c.NormNumGroups, n, i)
		case c.AttentionHeadDim > n && c.hasAttention(i):
			return nets.Refuse("attention_head_dim", "is %d, more than the %d channels of level %d", c.AttentionHeadDim, n, i)
		}
	}
	last := c.BlockOutChannels[len(c.BlockOutChannels)-1]
	if g := c.midAttentionGroups(); c.MidBlockType != "" && c.AddAttention && g > 0 && last%g != 0 {
		return nets.Refuse("attn_norm_num_groups", "is %d, which does not divide the %d channels of the mid block", g, last)
	}
	return nil
}

func (c Config) hasAttention(level int) bool {
	n := len(c.BlockOutChannels)
	return c.downKinds()[blockName(c.DownBlockTypes[level])].attention ||
		c.upKinds()[blockName(c.UpBlockTypes[n-1-level])].attention ||
		level == n-1 && c.MidBlockType != "" && c.AddAttention
}

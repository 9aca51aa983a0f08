package nets

import (
	"fmt"
	"slices"
	"strings"
)

// level is one down or up block, the part that its parameters and its graph
// have in common.
type level struct {
	name      string
	resnets   []resnet
	attention bool   // after each resnet
	resample  string // "conv", "resnet" or "" at the last level
	channels  int    // out of every resnet
}

type resnet struct{ in, out int }

type blockKind struct {
	attention bool
	resample  string
}

func (c Config) downKinds() map[string]blockKind {
	return map[string]blockKind{
		"DownBlock2D":             {false, "conv"},
		"AttnDownBlock2D":         {true, c.DownsampleType},
		"ResnetDownsampleBlock2D": {false, "resnet"},
	}
}

func (c Config) upKinds() map[string]blockKind {
	return map[string]blockKind{
		"UpBlock2D":             {false, "conv"},
		"AttnUpBlock2D":         {true, c.UpsampleType},
		"ResnetUpsampleBlock2D": {false, "resnet"},
	}
}

// blockName drops what the first versions of diffusers put in front.
func blockName(t string) string { return strings.TrimPrefix(t, "UNetRes") }

func (c Config) downLevels() []level {
	in := c.BlockOutChannels[0]
	var levels []level
	for i, out := range c.BlockOutChannels {
		kind := c.downKinds()[blockName(c.DownBlockTypes[i])]
		l := level{name: fmt.Sprintf("down_blocks.%d", i), attention: kind.attention, channels: out}
		for range c.LayersPerBlock {
			l.resnets = append(l.resnets, resnet{in, out})
			in = out
		}
		if i < len(c.BlockOutChannels)-1 {
			l.resample = kind.resample
		}
		levels = append(levels, l)
	}
	return levels
}

// upLevels begins at the coarsest level. Every resnet takes one skip more than
// the block below gave it; the last one's comes from the next finer level.
func (c Config) upLevels() []level {
	channels := slices.Clone(c.BlockOutChannels)
	slices.Reverse(channels)
	last := len(channels) - 1
	in := channels[0]
	var levels []level
	for i, out := range channels {
		kind := c.upKinds()[blockName(c.UpBlockTypes[i])]
		l := level{name: fmt.Sprintf("up_blocks.%d", i), attention: kind.attention, channels: out}
		for j := range c.LayersPerBlock + 1 {
			skip := out
			if j == c.LayersPerBlock {
				skip = channels[min(i+1, last)]
			}
			l.resnets = append(l.resnets, resnet{in + skip, out})
			in = out
		}
		if i < last {
			l.resample = kind.resample
		}
		levels = append(levels, l)
	}
	return levels
}

// timeDim is the width of the time embedding.
func (c Config) timeDim() int {
	if c.TimeEmbeddingDim > 0 {
		return c.TimeEmbeddingDim
	}
	return 4 * c.BlockOutChannels[0]
}

// heads of an attention over some channels; its inner width is heads times the
// size of one, less than the channels where that does not divide them.
func (c Config) heads(channels int) (heads, inner int) {
	size := c.AttentionHeadDim
	if size == 0 {
		size = channels
	}
	return channels / size, channels / size * size
}

// midAttentionGroups is the groups of the mid attention's norm; 0 means that it
// has none, as diffusers has it under scale_shift unless told otherwise.
func (c Config) midAttentionGroups() int {
	if c.AttnNormNumGroups == 0 && c.ResnetTimeScaleShift == "default" {
		return c.NormNumGroups
	}
	return c.AttnNormNumGroups
}

// classTable says whether classes come from a table of their own.
func (c Config) classTable() bool { return c.ClassEmbedType == "" && c.NumClassEmbeds > 0 }

// Conditional says whether the network takes a class.
func (c Config) Conditional() bool { return c.ClassEmbedType != "" || c.classTable() }

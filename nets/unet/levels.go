package unet

import (
	"fmt"
	"strings"
)

// level is one down or up block.
type level struct {
	name      string
	resnets   int
	attention bool   // after each resnet; of skip levels on the way up, after the last
	skip      bool   // images go along with the features, resampled by a filter
	resample  string // "conv", "resnet", "fir" of skip levels, or "" at the last level
	channels  int    // out of every resnet
}

type blockKind struct {
	attention bool
	skip      bool
	resample  string
}

func (c Config) downKinds() map[string]blockKind {
	return map[string]blockKind{
		"DownBlock2D":             {resample: "conv"},
		"AttnDownBlock2D":         {attention: true, resample: c.DownsampleType},
		"ResnetDownsampleBlock2D": {resample: "resnet"},
		"SkipDownBlock2D":         {skip: true, resample: "fir"},
		"AttnSkipDownBlock2D":     {skip: true, attention: true, resample: "fir"},
	}
}

func (c Config) upKinds() map[string]blockKind {
	return map[string]blockKind{
		"UpBlock2D":             {resample: "conv"},
		"AttnUpBlock2D":         {attention: true, resample: c.UpsampleType},
		"ResnetUpsampleBlock2D": {resample: "resnet"},
		"SkipUpBlock2D":         {skip: true, resample: "fir"},
		"AttnSkipUpBlock2D":     {skip: true, attention: true, resample: "fir"},
	}
}

// blockName drops what the first versions of diffusers put in front.
func blockName(t string) string { return strings.TrimPrefix(t, "UNetRes") }

func (c Config) downLevels() []level {
	var levels []level
	for i, channels := range c.BlockOutChannels {
		kind := c.downKinds()[blockName(c.DownBlockTypes[i])]
		levels = append(levels, level{fmt.Sprintf("down_blocks.%d", i), c.LayersPerBlock, kind.attention, kind.skip, kind.resample, channels})
	}
	levels[len(levels)-1].resample = ""
	return levels
}

// upLevels begins at the coarsest level. Every resnet takes one skip more than
// the block below gave it; the last one's comes from the next finer level.
func (c Config) upLevels() []level {
	last := len(c.BlockOutChannels) - 1
	var levels []level
	for i := range c.BlockOutChannels {
		kind := c.upKinds()[blockName(c.UpBlockTypes[i])]
		levels = append(levels, level{fmt.Sprintf("up_blocks.%d", i), c.LayersPerBlock + 1, kind.attention, kind.skip, kind.resample, c.BlockOutChannels[last-i]})
	}
	levels[last].resample = ""
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
	if n := c.own(AttentionHeads); n > 0 {
		return n, channels
	}
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

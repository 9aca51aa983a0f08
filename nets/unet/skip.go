package unet

import (
	"fmt"
	"math"

	"fluxion/kernels/concat"
	"fluxion/kernels/conv"
	"fluxion/kernels/fir"
	"fluxion/kernels/pointwise"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// Skip blocks are those of NCSN++ (Song et al., "Score-Based Generative Modeling through
// Stochastic Differential Equations", 2021), as diffusers has them: on the way down, the
// noisy image goes along, halved by a filter, and joins the features of each level; on the
// way up, each level gives an image, and their sum, doubled by the filter, is the output.
var (
	skipTaps  = []float64{1, 3, 3, 1}
	skipScale = 1 / math.Sqrt2
)

// skipChannels are those of the images; diffusers knows no others.
const skipChannels = 3

// skipGroups are the groups of a norm of skip blocks.
func skipGroups(channels int) int { return min(channels/4, 32) }

// attentionGroups are those of the norm before their attention.
const attentionGroups = 32

// skipGroupsUp are the groups of the first norm of a block on the way up, of what comes from
// below and what from beside. diffusers divides only the latter by 4 where there is attention.
func skipGroupsUp(attention bool, below, beside int) int {
	if attention {
		return min(below+beside/4, 32)
	}
	return skipGroups(below + beside)
}

func halved(x *gorgonia.Node) *gorgonia.Node  { return fir.Down(x, skipTaps...) }
func doubled(x *gorgonia.Node) *gorgonia.Node { return fir.Up(x, skipTaps...) }

func (b *builder) skipDown(l level, x *gorgonia.Node, skips []*gorgonia.Node) (*gorgonia.Node, []*gorgonia.Node) {
	for j := range l.resnets {
		in := channels(x)
		x = b.residual(residual{
			name: fmt.Sprintf("%s.resnets.%d", l.name, j), out: l.channels, groupsIn: skipGroups(in), groupsOut: skipGroups(l.channels),
			resize: identity, scale: skipScale, shortcut: in != l.channels,
		}, x)
		if l.attention {
			x = b.attention(fmt.Sprintf("%s.attentions.%d", l.name, j), x, attentionGroups, skipScale)
		}
		skips = append(skips, x)
	}
	if l.resample == "" {
		return x, skips
	}
	x = b.skipResampled(l, l.name+".resnet_down", x, halved)
	b.skip = halved(b.skip)
	x = b.block(pointwise.Add(b.conv(l.name+".skip_conv", b.skip, l.channels, 1, conv.Same(1), nets.Glorot), x))
	return x, append(skips, x)
}

func (b *builder) skipResampled(l level, name string, x *gorgonia.Node, resize func(*gorgonia.Node) *gorgonia.Node) *gorgonia.Node {
	groups := skipGroups(l.channels)
	return b.residual(residual{name: name, out: l.channels, groupsIn: groups, groupsOut: groups, resize: resize, scale: skipScale, shortcut: true}, x)
}

func (b *builder) skipUp(l level, x *gorgonia.Node, skips []*gorgonia.Node) (*gorgonia.Node, []*gorgonia.Node) {
	for j := range l.resnets {
		last := len(skips) - 1
		groups := skipGroupsUp(l.attention, channels(x), channels(skips[last]))
		x = concat.Channels(x, skips[last])
		skips = skips[:last]
		x = b.residual(residual{
			name: fmt.Sprintf("%s.resnets.%d", l.name, j), out: l.channels, groupsIn: groups, groupsOut: skipGroups(l.channels),
			resize: identity, scale: skipScale, shortcut: channels(x) != l.channels,
		}, x)
	}
	if l.attention {
		x = b.attention(l.name+".attentions.0", x, attentionGroups, skipScale)
	}
	if b.skip != nil {
		b.skip = doubled(b.skip)
	}
	if l.resample == "" {
		return x, skips
	}
	image := b.conv(l.name+".skip_conv", b.norm(l.name+".skip_norm", x, skipGroups(l.channels), true), skipChannels, 3, conv.Same(3), nets.Zero)
	if b.skip != nil {
		image = pointwise.Add(b.skip, image)
	}
	b.skip = image
	return b.skipResampled(l, l.name+".resnet_up", x, doubled), skips
}

// checkSkips says whether diffusers builds the skip blocks: those on the way down must begin at
// the first level, and those on the way up end at the last, for the image to be as large as
// the features.
func (c Config) checkSkips() error {
	down, up := c.downLevels(), c.upLevels()
	last := len(down) - 1
	some := false
	for i := range down {
		some = some || down[i].skip || up[i].skip
		if down[i].skip && i > 0 && i < last && !down[i-1].skip {
			return nets.Refuse("down_block_types", "has %s behind %s: the image that goes along is larger than the features there; want skip blocks from the first level on", c.DownBlockTypes[i], c.DownBlockTypes[i-1])
		}
		if i > 0 && up[i-1].skip && !up[i].skip {
			return nets.Refuse("up_block_types", "has %s behind %s: the image that goes along is smaller than the features there; want skip blocks up to the last level", c.UpBlockTypes[i], c.UpBlockTypes[i-1])
		}
	}
	switch {
	case !some:
		return nil
	case c.InChannels != skipChannels || c.OutChannels != skipChannels:
		return nets.Refuse("in_channels", "is %d and out_channels %d; skip blocks of diffusers are for %d", c.InChannels, c.OutChannels, skipChannels)
	}
	from := c.BlockOutChannels[0]
	beside := []int{from}
	for _, l := range down {
		for range l.resnets {
			if err := l.checkGroups("down_block_types", skipGroups(from), from); err != nil {
				return err
			}
			from = l.channels
			beside = append(beside, from)
		}
		if l.resample != "" {
			beside = append(beside, from)
		}
	}
	for _, l := range up {
		for range l.resnets {
			at := beside[len(beside)-1]
			beside = beside[:len(beside)-1]
			if err := l.checkGroups("up_block_types", skipGroupsUp(l.attention, from, at), from+at); err != nil {
				return err
			}
			from = l.channels
		}
	}
	return nil
}

// checkGroups says whether the norms of a skip level can be: the first of a block has so many
// groups of so many channels.
func (l level) checkGroups(key string, groups, from int) error {
	norms := [][2]int{{groups, from}, {skipGroups(l.channels), l.channels}}
	if l.attention {
		norms = append(norms, [2]int{attentionGroups, l.channels})
	}
	for _, n := range norms {
		if l.skip && (n[0] == 0 || n[1]%n[0] != 0) {
			return nets.Refuse(key, "has a skip block in %s, a norm of which has %d groups of %d channels: they cannot be of one size", l.name, n[0], n[1])
		}
	}
	return nil
}

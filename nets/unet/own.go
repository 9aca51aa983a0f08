package unet

import "fluxion/nets"

// Keys of networks that UNet2DModel of diffusers cannot be, though its blocks are theirs: those of
// Dhariwal and Nichol (2021), of 128 and 512 pixels. They begin with an underscore, as all that
// diffusers takes no notice of.
const (
	// AttentionHeads is how many heads every attention has, whatever its channels.
	AttentionHeads = "_attention_heads"
	// TimeChannels is how many sines and cosines of the time there are, where these are not as
	// many as the first of block_out_channels.
	TimeChannels = "_time_channels"
)

// Beyond says what of the network UNet2DModel of diffusers has not; "": nothing.
func (c Config) Beyond() string {
	switch {
	case c.own(AttentionHeads) > 0:
		return "one number of heads for attentions of any width"
	case c.own(TimeChannels) > 0:
		return "other numbers of sines and cosines of the time than channels"
	}
	return ""
}

// own is the number of such a key; 0: it is not there.
func (c Config) own(key string) int {
	n, _ := c.Meta[key].(int64)
	return int(n)
}

// timeChannels are the numbers that the embedding of the time begins with.
func (c Config) timeChannels() int {
	if n := c.own(TimeChannels); n > 0 {
		return n
	}
	return c.BlockOutChannels[0]
}

func (c Config) checkOwn() error {
	for _, key := range []string{AttentionHeads, TimeChannels} {
		v, there := c.Meta[key]
		if n := c.own(key); there && (n < 1 || n > nets.MostChannels) {
			return nets.Refuse(key, "is %v, want a whole number from 1 to %d", v, nets.MostChannels)
		}
	}
	switch n := c.own(TimeChannels); {
	case n%2 != 0:
		return nets.Refuse(TimeChannels, "is %d, but the time embedding needs an even number", n)
	case n > 0 && c.TimeEmbeddingType != "positional":
		return nets.Refuse(TimeChannels, "is %d, and time_embedding_type %q; want \"positional\"", n, c.TimeEmbeddingType)
	}
	for i, n := range c.BlockOutChannels {
		if heads := c.own(AttentionHeads); heads > 0 && c.hasAttention(i) && n%heads != 0 {
			return nets.Refuse(AttentionHeads, "is %d, which does not divide the %d channels of level %d", heads, n, i)
		}
	}
	return nil
}

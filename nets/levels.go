package nets

import "cmp"

// Levels is what the configurations of UNets of our own have in common. Each embeds it, and has the
// keys of its own beside it; where null is allowed, the zero value means it.
type Levels struct {
	SampleSize      []int  // height and width, or one number for both; no effect on weights
	InChannels      int    // of an image, and of the network's own estimate and a second image
	OutChannels     int    // of an image
	ModelChannels   int    // that ChannelMult multiplies
	ChannelMult     []int  // channels of a level, finest first
	NumBlocks       int    // residual blocks of a level on the way down; one more on the way up
	AttentionLevels []int  // with attention: 0 is the finest
	Dropout         Number // in training: the share of each residual block that is left out
	NumClassEmbeds  int    // that for none among them; null: it is told no class

	// Meta is the keys that begin with an underscore, such as _class_name.
	Meta map[string]any

	Noted
}

// Check says whether such a network can be built of at least so many ModelChannels. It returns a
// *ConfigError that names the key and what is supported.
func (l Levels) Check(channels int) error {
	if err := cmp.Or(
		CheckWithin("in_channels", l.InChannels, 1, MostChannels), CheckWithin("out_channels", l.OutChannels, 1, MostChannels),
		CheckWithin("model_channels", l.ModelChannels, channels, MostChannels), CheckWithin("num_blocks", l.NumBlocks, 1, MostLayers),
		CheckWithin("num_class_embeds", l.NumClassEmbeds, 0, MostRows),
		CheckEach("sample_size", l.SampleSize, 1, MostSide), CheckDropout(l.Dropout),
	); err != nil {
		return err
	}
	if n := len(l.ChannelMult); n < 1 || n > MostLevels {
		return Refuse("channel_mult", "has %d levels, want 1 to %d", n, MostLevels)
	}
	for _, m := range l.ChannelMult {
		if m < 1 || m*l.ModelChannels > MostChannels {
			return Refuse("channel_mult", "is %v times %d channels, want 1 to %d channels a level", l.ChannelMult, l.ModelChannels, MostChannels)
		}
	}
	for _, a := range l.AttentionLevels {
		if a < 0 || a >= len(l.ChannelMult) {
			return Refuse("attention_levels", "is %v, want numbers of the levels 0 to %d", l.AttentionLevels, len(l.ChannelMult)-1)
		}
	}
	if l.Concat() < 0 {
		return Refuse("in_channels", "is %d; with out_channels %d, of an image and perhaps of its own estimate, want at least %d", l.InChannels, l.OutChannels, l.InChannels-l.Concat())
	}
	return nil
}

// CheckWeights says whether the network n, of these levels, has too many.
func (l Levels) CheckWeights(n Network) error {
	if weights := Count(Params(n)); weights > MostWeights {
		return Refuse("model_channels", "is %d, which makes %d weights, want at most %d", l.ModelChannels, weights, MostWeights)
	}
	return nil
}

// Channels of the levels, finest first.
func (l Levels) Channels() (list []int) {
	for _, m := range l.ChannelMult {
		list = append(list, m*l.ModelChannels)
	}
	return list
}

// Estimate says whether the network is given its own estimate of the image.
func (l Levels) Estimate() bool { return l.Meta[SelfConditioning] == true }

// Concat is the channels of a second image; below 0 those of the image are too few.
func (l Levels) Concat() int {
	n := l.InChannels - l.OutChannels
	if l.Estimate() {
		n -= l.OutChannels
	}
	return n
}

// Images is the Spec of the images that the network is for, but for what the network makes of times.
func (l Levels) Images() Spec {
	widest := 0
	for _, n := range l.Channels() {
		widest = max(widest, n)
	}
	s := Spec{
		Multiple: 1 << (len(l.ChannelMult) - 1), Channels: l.OutChannels, Outputs: l.OutChannels, Classes: l.NumClassEmbeds, Dropout: l.Dropout.Value,
		Estimate: l.Estimate(), Concat: l.Concat(), Augmented: l.Meta[Augmented] == true, Jump: l.Meta[FlowMap] == true,
		Guidance: GuidanceOf(l.Meta), Widest: l.InChannels + l.OutChannels + 4*widest,
	}
	if len(l.SampleSize) > 0 {
		s.Height, s.Width = l.SampleSize[0], l.SampleSize[len(l.SampleSize)-1]
	}
	return s
}

// For returns the levels for other images.
func (l Levels) For(like Spec) Levels {
	l.Dropout, l.Noted = l.FitDropout(l.Dropout, like)
	l.Meta = like.WithMeta(l.Meta)
	l.InChannels, l.OutChannels, l.NumClassEmbeds = like.Channels+like.Concat, like.Channels, like.Classes
	if like.Estimate {
		l.InChannels += like.Channels
	}
	l.SampleSize = like.SampleSize(l.SampleSize)
	return l
}

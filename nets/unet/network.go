package unet

import (
	"slices"

	"fluxion/nets"
)

// Class is UNet2DModel, for the list of all networks.
func Class() nets.Class {
	return nets.Class{
		Name:       className,
		Parse:      func(data []byte, ignore ...string) (nets.Network, error) { return ParseConfig(data, ignore...) },
		ModernName: nets.ModernAttention,
		Presets:    presets(),
	}
}

// ClassName is diffusers' own.
func (c Config) ClassName() string { return className }

// Spec of the images that the network is for.
func (c Config) Spec() nets.Spec {
	s := nets.Spec{
		Multiple: 1 << (len(c.BlockOutChannels) - 1), // each level but the last halves the image
		Channels: min(c.InChannels, c.OutChannels), Outputs: c.OutChannels, Variance: c.variance(),
		Estimate: c.SelfConditioned(), Concat: c.concat(), Augmented: c.Augmented(), Dropout: c.Dropout.Value,
		Guidance: nets.GuidanceOf(c.Meta), OverTime: c.TimeEmbeddingType == fourier,
		Widest: c.InChannels + c.OutChannels + 4*slices.Max(c.BlockOutChannels),
	}
	if len(c.SampleSize) > 0 {
		s.Height, s.Width = c.SampleSize[0], c.SampleSize[len(c.SampleSize)-1]
	}
	if s.Jump = c.Jumps(); c.jumpsAsClass() {
		return s
	}
	if c.ClassEmbedType != nets.Identity {
		s.Classes = c.NumClassEmbeds
	} else {
		s.Embedding = c.timeDim()
	}
	s.Condition = c.ClassEmbedType
	return s
}

// WithNotes returns the network with more of them.
func (c Config) WithNotes(lines ...string) nets.Network {
	c.Noted = c.And(lines...)
	return c
}

// Fit returns the network for other images.
func (c Config) Fit(like nets.Spec) (nets.Network, error) {
	switch {
	case c.variance() && !like.Variance:
		c.Noted = c.And("the network's variance is left out: objectives hybrid and vlb train it, too")
	case like.Variance && (like.Estimate || like.Concat > 0):
		return nil, nets.Refuse("out_channels", "would be of a variance, too (objectives hybrid and vlb), which networks that are given an estimate or a second image (paired data) do not give here")
	}
	c = c.clone()
	c.Dropout, c.Noted = c.FitDropout(c.Dropout, like)
	c.Meta = nets.WithMeta(c.Meta, nets.Augmented, like.Augmented)
	c = c.withInput(like.Channels, like.Estimate, like.Concat).WithClasses(like.Classes).WithJump(like.Jump).WithGuidance(like.Guidance)
	if like.Condition != "" {
		c.ClassEmbedType = like.Condition
	}
	c.Meta = nets.WithMeta(c.Meta, nets.JumpEmbedding, like.Jump && like.Condition != "")
	c.SampleSize = like.SampleSize(c.SampleSize)
	if like.Variance {
		c.OutChannels = 2 * c.InChannels
	}
	return c, c.Validate()
}

// variance says whether the network gives a variance, too, as in Nichol and
// Dhariwal, "Improved DDPM" (2021): in as many channels behind the others.
func (c Config) variance() bool { return c.OutChannels == 2*c.InChannels }

// Denoiser is the network itself, if it gives as much as it takes.
func (c Config) Denoiser() (nets.Network, error) {
	if c.InChannels < c.OutChannels && !c.variance() {
		return nil, nets.Refuse("in_channels", "is %d and out_channels %d; want equal numbers, more in, for a second image that the network is given, or twice as many out, for a variance", c.InChannels, c.OutChannels)
	}
	return c, nil
}

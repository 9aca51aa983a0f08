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
		Channels: min(c.InChannels, c.OutChannels), Outputs: c.OutChannels,
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

// Fit returns the network for other images. It gives no variance.
func (c Config) Fit(like nets.Spec) (nets.Network, error) {
	if c.variance() {
		c.Noted = c.And("the network's variance is left out: networks here learn none")
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
	return c, c.Validate()
}

// variance says whether the network gives a variance, too, as in Nichol and
// Dhariwal, "Improved DDPM" (2021): in as many channels behind the others.
func (c Config) variance() bool { return c.OutChannels == 2*c.InChannels }

// Denoiser leaves the variance out.
func (c Config) Denoiser() (nets.Network, error) {
	if c.variance() {
		c.Noted = c.And("the network gives a variance, too: its half of out_channels is left out, samplers use their own")
		c.OutChannels = c.InChannels
	}
	if c.InChannels < c.OutChannels {
		return nil, nets.Refuse("in_channels", "is %d and out_channels %d; want equal numbers, or more in, for a second image that the network is given", c.InChannels, c.OutChannels)
	}
	return c, nil
}

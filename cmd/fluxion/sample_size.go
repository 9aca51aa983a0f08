package main

import (
	"errors"
	"fmt"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/nets"
	"fluxion/nets/autoencoder"
)

func (o *sampleOptions) sizeSetting() setting.Setting {
	s := data.SizeSetting(&o.size).Helps("side of the images, or HEIGHTxWIDTH, as in 48x32, if not what the model was trained on, of which images are best; of --latent, that of latents")
	s.Own, s.Range, s.Breaks = true, data.SizeRange(fmt.Sprintf("0 (the model's own) or sides up to %d", data.MaxSide)), setting.Breaks{}
	return s
}

// imageSize is the height, width and channels of a network's images, which are to be
// written as an array or as pictures.
func (o *sampleOptions) imageSize(n nets.Network, array bool) ([3]int, error) {
	s := n.Spec()
	if o.size != (data.Size{}) {
		s.Height, s.Width = o.size.Height, o.size.Width
	}
	if s.Height == 0 {
		return [3]int{}, errors.New("its config.json has no sample_size; want --size")
	}
	if n := s.Channels; n != 1 && n != 3 && !array {
		return [3]int{}, fmt.Errorf("images of %d channels cannot be written as PNG, want 1 or 3; --out FILE.npz writes them as they are", n)
	}
	return [3]int{s.Height, s.Width, s.Channels}, nil
}

// latentSize makes of the size of images that is asked for the one of latents which are decoded
// to them.
func (o *sampleOptions) latentSize(j *job, m *autoencoder.Model) error {
	if o.size == (data.Size{}) || o.latent {
		return nil
	}
	factor := m.Factor()
	if j.size[0]%factor != 0 || j.size[1]%factor != 0 {
		return fault.Usagef("--size %v: %s decodes a latent to %d×%d pixels; want a multiple of %d", o.size, o.model, factor, factor, factor)
	}
	j.size[0], j.size[1] = j.size[0]/factor, j.size[1]/factor
	return nil
}

// checkSize refuses a size that is asked for and that a network does not take.
func (o *sampleOptions) checkSize(j job) error {
	if o.size == (data.Size{}) {
		return nil
	}
	if o.from != "" {
		return fault.Usagef("--size %v: --from goes from one model to another at the size of both; leave one of them out", o.size)
	}
	err := j.model.Network.Spec().CheckSize(o.model, j.size[0], j.size[1])
	if err == nil && j.guide != nil {
		err = j.guide.Network.Spec().CheckSize(o.guide, j.size[0], j.size[1])
	}
	if err != nil {
		return fault.Usagef("--size %v: %w", o.size, err)
	}
	return nil
}

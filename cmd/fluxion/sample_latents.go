package main

import (
	"fmt"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/latent"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
)

// planLatents settles whether samples are latents that are decoded, whether pictures given are
// encoded, and the sizes of both.
func (o *sampleOptions) planLatents(j *job) error {
	j.made, j.seen = j.size, j.size
	latents := j.model.Autoencoder != ""
	switch {
	case !latents && o.latent && o.without == "":
		return fault.Usagef("--latent: %s makes images, and no latents; leave it out", o.model)
	case !latents:
		return nil
	case o.latent && !o.floats():
		return fault.Usagef("--latent: want --out FILE.npz without --uint8, for latents are no pictures")
	case o.latent && o.init == "" && o.input == "":
		return nil
	}
	m, err := j.model.ReadAutoencoder(o.ignore...)
	if err != nil {
		return err
	}
	if m.LatentChannels != j.size[2] {
		return modelError{o.model, fmt.Errorf("its network makes %d channels, and its autoencoder decodes %d", j.size[2], m.LatentChannels)}
	}
	if err := o.latentSize(j, m); err != nil {
		return err
	}
	if o.init != "" || o.input != "" {
		j.encodes, j.seen = m, [3]int{j.size[0] * m.Factor(), j.size[1] * m.Factor(), m.InChannels}
	}
	if !o.latent {
		j.autoencoder, j.made = m, [3]int{j.size[0] * m.Factor(), j.size[1] * m.Factor(), m.OutChannels}
	}
	return nil
}

// pictureEncoder makes of pictures what a model of latents sees of them, as a denoiser has it. Of
// --init it is a sample of the posterior, as in diffusers' image to image, which --seed and the
// number of the picture draw; of --input it is the mean, as in training.
type pictureEncoder struct {
	*latent.Encoder
	seed          uint64
	shift, scale  []float64
	deviation, xi []float32
}

// pictureEncoder is that of the job, loaded; nil: pictures are seen as they are.
func (o *sampleOptions) pictureEncoder(dev device.Device, j job) (*pictureEncoder, error) {
	if j.encodes == nil || j.picture == nil && (j.images == nil || j.images.latents) {
		return nil, nil
	}
	e, err := latent.NewEncoder(latent.Options{Model: j.encodes, Device: dev, Precision: number.Float32, Batch: 1, Tile: j.model.Tile, Prepare: true}, j.seen[0], j.seen[1])
	if err != nil {
		return nil, err
	}
	n := j.size[0] * j.size[1] * j.size[2]
	p := &pictureEncoder{Encoder: e, seed: o.seed, deviation: make([]float32, n), xi: make([]float32, n)}
	p.shift, p.scale = j.encodes.Scaling()
	return p, e.Load()
}

// close gives back what it holds.
func (p *pictureEncoder) close() error {
	if p == nil {
		return nil
	}
	return p.Close()
}

// encode makes the latent of picture n: the mean, or a sample.
func (p *pictureEncoder) encode(n int64, mean bool, pixels, to []float32) error {
	if err := p.Encode(pixels, to, p.deviation); err != nil {
		return err
	}
	if !mean {
		latent.Deviations(p.deviation)
		philox.Normal(p.xi, p.seed, philox.Posterior, uint64(n), 0)
		for k := range to {
			to[k] += float32(p.deviation[k] * p.xi[k]) // rounded, as data reads latents
		}
	}
	for k := range to {
		c := k % len(p.shift)
		to[k] = float32((float64(to[k]) - p.shift[c]) * p.scale[c])
		if to[k]-to[k] != 0 {
			return fmt.Errorf("the autoencoder makes a latent of the picture whose value %d is %v", k, to[k])
		}
	}
	return nil
}

// picture is what the network is given of the picture: its latent, and of the mask, which is 0
// or 1 there, the pixel at the upper left corner of what each value of a latent stands for, as
// diffusers' inpainting has it.
func (p *pictureEncoder) picture(j job) (*generate.Picture, error) {
	if p == nil || j.picture == nil {
		return j.picture, nil
	}
	given := &generate.Picture{Values: make([]float32, j.size[0]*j.size[1]*j.size[2]), Unseen: j.picture.Unseen}
	if err := p.encode(0, false, j.picture.Values, given.Values); err != nil || j.picture.Mask == nil {
		return given, err
	}
	given.Mask = make([]float32, len(given.Values))
	factor, channels := j.seen[0]/j.size[0], j.seen[2]
	for i := range given.Mask {
		pixel := i / j.size[2]
		y, x := pixel/j.size[1]*factor, pixel%j.size[1]*factor
		if j.picture.Mask[(y*j.seen[1]+x)*channels] >= 0.5 {
			given.Mask[i] = 1
		}
	}
	return given, nil
}

// decoder makes images of samples that are latents.
type decoder struct {
	*latent.Decoder
	values []float32
	pixels []byte
}

// decoder is that of the job, loaded; nil: samples are not decoded.
func (j job) decoder(dev device.Device) (*decoder, error) {
	if j.autoencoder == nil {
		return nil, nil
	}
	d, err := latent.NewDecoder(latent.Options{Model: j.autoencoder, Device: dev, Precision: number.Float32, Batch: 1, Tile: j.model.Tile, Prepare: true}, j.size[0], j.size[1])
	if err != nil {
		return nil, err
	}
	n := j.made[0] * j.made[1] * j.made[2]
	return &decoder{d, make([]float32, n), make([]byte, n)}, d.Load()
}

// close gives back what it holds.
func (d *decoder) close() error {
	if d == nil {
		return nil
	}
	return d.Close()
}

// image is what a sample is to be seen as, valid until the next.
func (d *decoder) image(s generate.Sample) (generate.Sample, error) {
	if d == nil {
		return s, nil
	}
	if err := d.Decode(s.Values, d.values); err != nil {
		return s, err
	}
	for i, x := range d.values {
		if x-x != 0 {
			return s, fmt.Errorf("the autoencoder makes an image whose value %d is %v; --latent keeps the latents", i, x)
		}
	}
	data.Pixels{Floats: d.values}.Picture(d.pixels)
	return generate.Sample{Pixels: d.pixels, Values: d.values, Calls: s.Calls}, nil
}

package main

import (
	"fmt"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/cmd/fluxion/internal/samples"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/latent"
	"fluxion/kernels/number"
	"fluxion/nets/autoencoder"
)

// planLatents settles whether samples are latents that are decoded, and the size of what is
// made.
func (o *sampleOptions) planLatents(j *job) error {
	j.made = j.size
	dir := j.model.Autoencoder
	switch {
	case dir == "" && o.latent && o.without == "":
		return fault.Usagef("--latent: %s makes images, and no latents; leave it out", o.model)
	case dir == "":
		return nil
	case o.latent && !samples.IsArray(o.out):
		return fault.Usagef("--latent: want --out FILE.npz, for latents are no pictures")
	case o.init != "" || o.mask != "":
		return fault.Usagef("--init and --mask: %s makes latents, to which no pictures can be given; leave them out", o.model)
	case o.latent:
		return nil
	}
	m, err := autoencoder.Read(dir, o.ignore...)
	if err != nil {
		return err
	}
	if m.LatentChannels != j.size[2] {
		return modelError{o.model, fmt.Errorf("its network makes %d channels, and its autoencoder decodes %d", j.size[2], m.LatentChannels)}
	}
	j.autoencoder, j.made = m, [3]int{j.size[0] * m.Factor(), j.size[1] * m.Factor(), m.OutChannels}
	return nil
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

package train

import (
	"fmt"
	"path/filepath"

	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/latent"
	"fluxion/kernels/number"
	"fluxion/kernels/philox"
	"fluxion/nets/autoencoder"
)

// Posteriors: which latent of its posterior an image is.
const (
	posteriorSample = "sample"
	posteriorMean   = "mean"
)

func posteriorSetting(p *string) setting.Setting {
	posteriors := []string{posteriorSample, posteriorMean}
	return setting.Setting{
		Key: "posterior", Value: setting.Of(p), Range: setting.OneOf("posterior", posteriors), Breaks: setting.Always, Since: "2026-11-30", Before: posteriorSample,
		Help: "of data latents:DIR: which latent of an image is trained on, a sample of its posterior, another each time, or its mean",
	}
}

// draw is what latents are drawn by, as data.LoaderOptions has it; nil: they are not.
func (s Settings) draw(d data.Dataset) func(position int64, to []float32) {
	if l, _ := data.LatentsOf(d); l == nil || s.Posterior != posteriorSample {
		return nil
	}
	return func(position int64, to []float32) { philox.Normal(to, s.Seed, philox.Posterior, uint64(position), 0) }
}

// checkLatents says why latents do not go with the settings. Data may be nil.
func (s Settings) checkLatents(d data.Dataset) error {
	if d == nil {
		return nil
	}
	l, _ := data.LatentsOf(d)
	switch {
	case l == nil && s.Posterior != posteriorSample:
		return &SettingError{"posterior", fmt.Sprintf("%s, and %s holds no latents; leave it out", s.Posterior, d.Name())}
	case l == nil:
		return nil
	case s.Flip && !l.Flipped:
		return &SettingError{"flip", fmt.Sprintf("%s holds no latents of mirrored images, which are others than mirrored latents; fluxion latents --flip makes them", d.Name())}
	case s.Augment != "":
		return &SettingError{"augment", "latents would be transformed, which are not those of transformed images; " + noAugment}
	}
	return nil
}

// checkLatents says that the model which a run begins with makes latents of another
// autoencoder than the run's.
func (b *beginning) checkLatents(s Settings, d dataset) error {
	if b == nil {
		return nil
	}
	if known := b.from.AutoencoderDigest(); known != "" && d.Autoencoder != "" && known != d.Autoencoder {
		return &SettingError{"init", fmt.Sprintf("%s makes latents of another autoencoder than that of the data, the one in %s; want latents of its own", s.Init, b.from.Autoencoder)}
	}
	return nil
}

// decoding makes pictures of samples that are latents.
type decoding struct {
	decoder *latent.Decoder
	dir     string // of the autoencoder
	digest  string
	shape   [3]int // of pictures
}

// newDecoding reads the autoencoder that latents lie with; nil: the data are none.
func newDecoding(d data.Dataset, dev device.Device) (*decoding, error) {
	l, dir := data.LatentsOf(d)
	if l == nil {
		return nil, nil
	}
	c := &decoding{dir: filepath.Join(dir, data.AutoencoderDir), digest: l.Autoencoder}
	m, err := autoencoder.Read(c.dir)
	if err != nil {
		return nil, err
	}
	if m.Digest() != l.Autoencoder {
		return nil, &data.Error{Path: c.dir, Problem: fmt.Sprintf("is another autoencoder than that of the latents beside it (%s); want theirs", l.Made["vae"])}
	}
	c.decoder, err = latent.NewDecoder(latent.Options{Model: m, Device: dev, Precision: number.Float32, Batch: 1, Tile: l.Tile}, l.Height, l.Width)
	if err != nil {
		return nil, &data.Error{Path: filepath.Join(dir, data.LatentsFile), Problem: "does not agree with its autoencoder", Err: err}
	}
	c.shape[0], c.shape[1], c.shape[2] = c.decoder.Shape()
	return c, nil
}

// shown is the shape of images that can be seen: of the data, or of what their latents are of.
func (r *run) shown() (height, width, channels int) {
	if r.decoding != nil {
		return r.decoding.shape[0], r.decoding.shape[1], r.decoding.shape[2]
	}
	return r.data.Shape()
}

// picture makes of samples what is shown.
func (r *run) picture(samples data.Pixels) (data.Pixels, error) {
	if r.decoding == nil {
		return samples, nil
	}
	n := samples.Len() / data.ValuesOf(r.data)
	images := data.NewPixels(data.Floats, n*r.decoding.shape[0]*r.decoding.shape[1]*r.decoding.shape[2])
	return images, r.decoding.decoder.Decode(samples.Floats, images.Floats)
}

func (d *decoding) free() error {
	if d == nil {
		return nil
	}
	return d.decoder.Close()
}

// latentsMirrored says whether a folder of latents has those of mirrored images, which mean the
// same.
func latentsMirrored(dir string) bool {
	l, err := data.ReadLatents(dir)
	return err == nil && l.Flipped && mirrored(l.Made["data"])
}

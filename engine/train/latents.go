package train

import (
	"fmt"
	"slices"

	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/device"
	"fluxion/engine/generate"
	"fluxion/engine/latent"
	"fluxion/engine/model"
	"fluxion/engine/plan"
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
	case s.Flip && !data.KeepsMirrored(d):
		return &SettingError{"flip", fmt.Sprintf("%s holds no latents of mirrored images, which are others than mirrored latents; fluxion latents --flip makes them", d.Name())}
	case s.Augment != "":
		return &SettingError{"augment", "latents would be transformed, which are not those of transformed images; " + noAugment}
	}
	return nil
}

// checkAutoencoder says that a model which a setting names makes latents of another
// autoencoder than the run's data are.
func checkAutoencoder(key, name string, m *model.Model, d data.Dataset) error {
	a, latents := data.AutoencoderOf(d)
	if known := m.AutoencoderDigest(); latents && known != "" && known != a.Digest {
		return &SettingError{key, fmt.Sprintf("%s makes latents of another autoencoder than that of the data, the one in %s; want latents of its own", name, m.Autoencoder)}
	}
	return nil
}

// latentNotes say that samples will not be decoded, though those of the model that the run
// begins with, or learns from, are.
func (r *run) latentNotes() []string {
	if _, ok := data.AutoencoderOf(r.data); ok || data.Pictures(r.data) {
		return nil
	}
	for _, of := range []struct {
		key, name string
		latents   bool
	}{
		{"init", r.settings.Init, r.beginning != nil && r.beginning.from.Autoencoder != ""},
		{"teacher", r.settings.Teacher, r.teacher != nil && r.teacher.Latents},
	} {
		if of.latents {
			return []string{fmt.Sprintf("%s %s makes latents, and the data say nothing of their autoencoder: samples of this run are numbers, which are not decoded; want latents:DIR, or pairs:DIR that fluxion pairs made of such a model", of.key, of.name)}
		}
	}
	return nil
}

// decoding makes pictures of samples that are latents.
type decoding struct {
	data.Autoencoder
	shape   [3]int                        // of pictures; of several shapes, those of the set's own
	decoder *latent.Decoder               // nil: none are made
	others  map[data.Size]*latent.Decoder // by the size of latents, where they have several
	values  []float32
	pixels  []byte
}

// newDecoding finds the autoencoder that latents lie with; nil: the data are none, or this
// process of several keeps and shows nothing.
func (r *run) newDecoding() (*decoding, error) {
	a, ok := data.AutoencoderOf(r.data)
	if !ok || r.group.Rank > 0 {
		return nil, nil
	}
	c := &decoding{Autoencoder: a}
	var err error
	c.shape, _, err = Shown(r.data)
	return c, err
}

// Shown is the height, width and channels of what samples of a model of a set are seen as, and
// whether that is decoded from them: the set is of latents.
func Shown(d data.Dataset) (shape [3]int, decoded bool, err error) {
	shape[0], shape[1], shape[2] = d.Shape()
	a, ok := data.AutoencoderOf(d)
	if !ok {
		return shape, false, nil
	}
	c, err := autoencoder.ReadConfig(a.Dir)
	if err != nil {
		return shape, true, err
	}
	if c.LatentChannels != shape[2] {
		return shape, true, &data.Error{Path: a.Dir, Problem: fmt.Sprintf("decodes latents of %d channels, and those beside it have %d", c.LatentChannels, shape[2])}
	}
	return [3]int{shape[0] * c.Factor(), shape[1] * c.Factor(), c.OutChannels}, true, nil
}

// read reads the autoencoder, and compiles its decoder if pictures are made.
func (c *decoding) read(d data.Dataset, dev device.Device, shows bool) error {
	if c == nil {
		return nil
	}
	m, err := autoencoder.Read(c.Dir)
	if err != nil {
		return err
	}
	if m.Digest() != c.Digest {
		return &data.Error{Path: c.Dir, Problem: fmt.Sprintf("is another autoencoder than that of the latents beside it (%s); want theirs", c.Of)}
	}
	if !shows {
		return nil
	}
	height, width, _ := d.Shape()
	c.decoder, err = latent.NewDecoder(latent.Options{Model: m, Device: dev, Precision: number.Float32, Batch: 1, Tile: c.Tile}, height, width)
	if err != nil {
		return &data.Error{Path: c.Dir, Problem: "does not agree with the latents beside it", Err: err}
	}
	c.others = map[data.Size]*latent.Decoder{}
	for _, s := range shapes(d) {
		if c.others[s], err = c.decoder.Also(s.Height, s.Width); err != nil {
			return &data.Error{Path: c.Dir, Problem: fmt.Sprintf("does not decode latents of %v", s), Err: err}
		}
	}
	return nil
}

// at is the decoder for latents of a size.
func (c *decoding) at(s generate.Size) *latent.Decoder {
	if d := c.others[s]; d != nil {
		return d
	}
	return c.decoder
}

// picturesDecoded says whether pictures are made of samples that are latents: for grids, or
// for hooks.
func (r *run) picturesDecoded() bool {
	return r.gridCount() > 0 || slices.ContainsFunc(r.all, func(h Hook) bool { return h.Decodes })
}

// shown is the shape of images that can be seen: of the data, or of what their latents are of.
func (r *run) shown() (height, width, channels int) {
	if r.decoding != nil {
		return r.decoding.shape[0], r.decoding.shape[1], r.decoding.shape[2]
	}
	return r.data.Shape()
}

// shownAs makes of a sample what is shown.
func (r *run) shownAs(t data.Tile) (data.Tile, error) {
	if r.decoding == nil {
		return t, nil
	}
	d := r.decoding.at(t.Size)
	h, w, c := d.Shape()
	image := data.Tile{Pixels: data.NewPixels(data.Floats, h*w*c), Size: data.Size{Height: h, Width: w}, Channels: c}
	return image, d.Decode(t.Floats, image.Floats)
}

// sizes is the memory of the device that decoding takes, nil for none.
func (c *decoding) sizes() plan.Sizes {
	if c == nil || c.decoder == nil {
		return nil
	}
	return c.decoder.Sizes()
}

// of gives the decoder for latents of a size; nil: there is none.
func (c *decoding) of() func(generate.Size) *latent.Decoder {
	if c == nil || c.decoder == nil {
		return nil
	}
	return c.at
}

// picture makes one of a latent of a size, valid until the next, and says its size.
func (c *decoding) picture(z []float32, of generate.Size) ([]byte, generate.Size, error) {
	d := c.at(of)
	height, width, channels := d.Shape()
	n := height * width * channels
	c.values, c.pixels = slices.Grow(c.values[:0], n)[:n], slices.Grow(c.pixels[:0], n)[:n]
	err := d.Decode(z, c.values)
	data.Pixels{Floats: c.values}.Picture(c.pixels)
	return c.pixels, data.Size{Height: height, Width: width}, err
}

// load brings the decoder to memory of the run.
func (c *decoding) load(memory device.Memory) error {
	if c == nil || c.decoder == nil {
		return nil
	}
	return c.decoder.LoadIn(memory)
}

func (c *decoding) free() error {
	if c == nil || c.decoder == nil {
		return nil
	}
	return c.decoder.Close()
}

// latentsMirrored says whether a folder of latents has those of mirrored images, which mean the
// same.
func latentsMirrored(dir string) bool {
	l, err := data.ReadLatents(dir)
	return err == nil && l.Flipped && mirrored(l.Made["data"])
}

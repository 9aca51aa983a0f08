package latent

import (
	"math"

	"fluxion/nets/autoencoder"
)

// Encoder makes of images the posteriors of their latents.
type Encoder struct {
	*half
	moments []float32
}

// NewEncoder compiles an encoder for images of a size.
func NewEncoder(o Options, height, width int) (*Encoder, error) {
	h, err := newHalf(o, autoencoder.Encoder, height, width)
	if err != nil {
		return nil, err
	}
	return &Encoder{half: h}, nil
}

// Also is an encoder for another size on the same memory, compiled before this one is loaded.
func (e *Encoder) Also(height, width int) (*Encoder, error) {
	h, err := e.also(height, width)
	return &Encoder{half: h}, err
}

// Shape is that of latents.
func (e *Encoder) Shape() (height, width, channels int) {
	return e.outHeight(), e.outWidth(), e.out / 2
}

// Bounds of the logarithm of a variance, as diffusers' DiagonalGaussianDistribution clamps it.
const leastLog, mostLog = -30, 20

// Encode makes of up to Batch images, as a network sees them, the means of their latents and
// the logarithms of their variances, both of Shape.
func (e *Encoder) Encode(images, mean, logVariance []float32) error {
	if e.moments == nil {
		e.moments = make([]float32, e.Batch*e.outHeight()*e.outWidth()*e.out)
	}
	all := e.moments[:len(images)/(e.height*e.width*e.in)*e.outHeight()*e.outWidth()*e.out]
	if err := e.run(images, all); err != nil {
		return err
	}
	c := e.out / 2
	for i := range len(all) / e.out {
		pixel := all[i*e.out:][:e.out]
		copy(mean[i*c:][:c], pixel[:c])
		for k, l := range pixel[c:] {
			logVariance[i*c+k] = min(max(l, leastLog), mostLog)
		}
	}
	return nil
}

// Deviations are those of logarithms of variances.
func Deviations(logVariance []float32) {
	for i, l := range logVariance {
		logVariance[i] = float32(math.Exp(float64(l) / 2))
	}
}

// Decoder makes images of latents as a denoiser has them.
type Decoder struct {
	*half
	shift, scale []float64
	raw          []float32
}

// NewDecoder compiles a decoder for latents of a size.
func NewDecoder(o Options, height, width int) (*Decoder, error) {
	h, err := newHalf(o, autoencoder.Decoder, height, width)
	if err != nil {
		return nil, err
	}
	d := &Decoder{half: h}
	d.shift, d.scale = o.Model.Scaling()
	return d, nil
}

// Also is a decoder for another size on the same memory, compiled before this one is loaded.
func (d *Decoder) Also(height, width int) (*Decoder, error) {
	h, err := d.also(height, width)
	return &Decoder{half: h, shift: d.shift, scale: d.scale}, err
}

// Shape is that of images.
func (d *Decoder) Shape() (height, width, channels int) { return d.outHeight(), d.outWidth(), d.out }

// Decode makes images of any number of latents z = (x − shift)·scale, as Scaling has them.
func (d *Decoder) Decode(z, images []float32) error {
	in, out := d.height*d.width*d.in, d.outHeight()*d.outWidth()*d.out
	d.raw = append(d.raw[:0], z...)
	for i := range d.raw {
		c := i % d.in
		d.raw[i] = float32(float64(d.raw[i])/d.scale[c] + d.shift[c])
	}
	for i := 0; i < len(z)/in; i += d.Batch {
		n := min(d.Batch, len(z)/in-i)
		if err := d.run(d.raw[i*in:][:n*in], images[i*out:][:n*out]); err != nil {
			return err
		}
	}
	return nil
}

package data

import (
	"fmt"
	"image"
	"image/color"
	"slices"
)

// resize brings a set of bytes, grey or RGB, to another size or number of channels.
type resize struct {
	Dataset
	shape   shape
	fit     Fit
	buckets *Buckets // one, of all images; nil: they have the shape
}

// resized brings a set to the size and channels that are asked for. Floats stay as they
// are.
func resized(d Dataset, o Options) (Dataset, error) {
	h, w, c := d.Shape()
	s, fit := o.asked(shape{h, w, c})
	if s == (shape{h, w, c}) {
		return d, nil
	}
	if d.Kind() == Floats {
		return nil, &Error{Path: d.Name(), Problem: fmt.Sprintf("holds float32 of %d×%d×%d, which are taken as they are; want no other --size and --channels", h, w, c)}
	}
	return &resize{Dataset: d, shape: s, fit: fit}, nil
}

// inOneBucket brings a set to the bucket that is nearest to the shape of its images.
func inOneBucket(d Dataset, o Options) Dataset {
	h, w, c := d.Shape()
	sizes := o.bucketSizes()
	s, fit := o.asked(shape{h, w, c})
	all := slices.Repeat([]int{nearest(sizes, w, h)}, d.Len())
	return &resize{d, s, fit, newBuckets(sizes, all)}
}

func (r *resize) inBuckets() *Buckets { return r.buckets }

func (r *resize) Shape() (height, width, channels int) {
	return r.shape.height, r.shape.width, r.shape.channels
}

func (r *resize) Read(i int, e *Example) error {
	h, w, c := r.Dataset.Shape()
	stored := Example{Pixels: NewPixels(Bytes, h*w*c), Class: e.Class, Noise: e.Noise}
	if err := r.Dataset.Read(i, &stored); err != nil {
		return err
	}
	e.Class, e.Noise = stored.Class, stored.Noise
	s := r.shape
	if e.Size != (Size{}) {
		s.height, s.width = e.Size.Height, e.Size.Width
	}
	convert(photo{opaque(stored.Bytes, h, w, c), upright, e.Part}, s, r.fit, e.Bytes)
	return nil
}

// opaque views bytes as an image, grey or RGB.
func opaque(pixels []byte, height, width, channels int) image.Image {
	r := image.Rect(0, 0, width, height)
	if channels == 1 {
		return &image.Gray{Pix: pixels, Stride: width, Rect: r}
	}
	img := image.NewRGBA(r)
	for p := range height * width {
		img.SetRGBA(p%width, p/width, color.RGBA{pixels[3*p], pixels[3*p+1], pixels[3*p+2], 255})
	}
	return img
}

package data

import (
	"fmt"
	"hash"
	"image"
	"image/color"
)

// resize brings a set of bytes, grey or RGB, to another size or number of channels.
type resize struct {
	Dataset
	shape   shape
	fit     Fit
	buckets *Buckets // that images are brought to; nil: they have the shape
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

// inBucketsOf brings each image of a set to the bucket that is nearest to its shape.
func inBucketsOf(d Dataset, o Options) Dataset {
	h, w, c := d.Shape()
	sizes, all, known := o.bucketSizes(), make([]int, d.Len()), map[Size]int{}
	for i := range all {
		of := SizeOf(d, i)
		k, is := known[of]
		if !is {
			k = nearest(sizes, of.Width, of.Height)
			known[of] = k
		}
		all[i] = k
	}
	s, fit := o.asked(shape{h, w, c})
	return &resize{Dataset: d, shape: s, fit: fit, buckets: newBuckets(sizes, all)}
}

// fromShapes is a set that keeps several shapes as it is asked for: in these where no size is, and
// else as pictures of these shapes would be.
func (o Options) fromShapes(d Dataset, path string) (Dataset, error) {
	h, w, c := d.Shape()
	own := BucketsOf(d)
	s, fit := o.asked(shape{h, w, c})
	if o.AsStored {
		s, fit = shape{h, w, s.channels}, ""
	}
	_, buckets := fit.Buckets()
	switch {
	case fit == "" && s.channels == c:
		return d, nil
	case d.Kind() == Floats:
		return nil, &Error{Path: path, Problem: fmt.Sprintf("keeps %s in float32 of %d channels, which are taken as they are; want no --size and --channels", count(len(own.Sizes), "shape"), c)}
	case fit == "":
		return &resize{Dataset: d, shape: s, fit: Crop, buckets: own}, nil
	case buckets:
		r := inBucketsOf(d, o)
		return r, BucketsOf(r).check(path)
	}
	return &resize{Dataset: d, shape: s, fit: fit}, nil
}

// heeds refuses a fit that somebody asks for where images keep their shapes, for no size is given.
func (o Options) heeds(d Dataset, spec string) error {
	own := BucketsOf(d)
	if _, buckets := o.Fit.Buckets(); own == nil || buckets || !o.FitSaid || o.AsStored || o.Size != (Size{}) {
		return nil
	}
	return &Error{Path: spec, Problem: fmt.Sprintf("keeps %s, which images have as long as no size is given, and fit %s is how they are brought to one; want --size, or no --fit", count(len(own.Sizes), "shape"), o.Fit)}
}

// notes say what becomes of shapes.
func (r *resize) notes() []string {
	if own := BucketsOf(r.Dataset); own != nil && r.buckets == nil {
		return []string{fmt.Sprintf("images of %s are brought to %v (%s); without --size they stay as they are", count(len(own.Sizes), "shape"), Size{r.shape.height, r.shape.width}, r.fit)}
	}
	return r.buckets.notes()
}

func (r *resize) inBuckets() *Buckets { return r.buckets }

func (r *resize) Shape() (height, width, channels int) {
	return r.shape.height, r.shape.width, r.shape.channels
}

// Fingerprint of a set of several shapes that is brought to others is another than its own.
func (r *resize) Fingerprint() Fingerprint {
	f, own := r.Dataset.Fingerprint(), BucketsOf(r.Dataset)
	if own == nil || own == r.buckets {
		return f
	}
	f.Digest = digest(func(h hash.Hash) { fmt.Fprintln(h, f.Digest, r.shape, r.fit) })
	return f
}

func (r *resize) Read(i int, e *Example) error {
	_, _, c := r.Dataset.Shape()
	of := SizeOf(r.Dataset, i)
	h, w := of.Height, of.Width
	stored := Example{Pixels: NewPixels(Bytes, h*w*c), Class: e.Class, Noise: e.Noise, Size: of}
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

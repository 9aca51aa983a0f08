package data

import (
	"fmt"
	"image"
	"strconv"
	"strings"
)

// Fit is how a picture is brought to a size.
type Fit string

// The ways; a picture that is brought to no size has none of them.
const (
	Crop       Fit = "crop"        // its middle is cut out
	RandomCrop Fit = "random-crop" // a part is cut out, another at each position in the stream; with :SHARE behind it perhaps a smaller one
	Pad        Fit = "pad"         // all of it, between white bars
	Stretch    Fit = "stretch"     // all of it, drawn out of shape
	// AspectBuckets brings each to the nearest of several shapes of about equal area, and cuts out its middle;
	// with :STEP behind it their sides are multiples of that. Elsewhere than in a stream it is Crop.
	AspectBuckets Fit = "buckets"
)

// check refuses what is no way.
func (f Fit) check() error {
	switch f {
	case "", Crop, RandomCrop, Pad, Stretch:
		return nil
	}
	if least, random := f.random(); random && least > 0 && least <= 1 {
		return nil
	}
	if step, yes := f.Buckets(); yes && step >= 0 {
		return nil
	}
	return fmt.Errorf("fit %q; want %s, %s (or %s:SHARE, with a share above 0 up to 1, as in %s:0.8), %s, %s or %s (or %s:STEP, with a whole number of pixels, as in %s:8)", string(f), Crop, RandomCrop, RandomCrop, RandomCrop, Pad, Stretch, AspectBuckets, AspectBuckets, AspectBuckets)
}

// Varies says whether another part of a picture is cut out at each position in the stream.
func (f Fit) Varies() bool {
	_, random := f.random()
	return random
}

// random says whether the part that is cut out is drawn, and how large it is at least, as a
// share of the shorter side. Without a share it is 1, as in training scripts of diffusers;
// ADM has 0.8 (Dhariwal and Nichol 2021, random_crop_arr).
func (f Fit) random() (least float64, random bool) {
	name, share, given := strings.Cut(string(f), ":")
	if Fit(name) != RandomCrop {
		return 0, false
	}
	if !given {
		return 1, true
	}
	least, err := strconv.ParseFloat(share, 64)
	if err != nil {
		return 0, true
	}
	return least, true
}

// window is what is cut out of a picture for images of a size, in their proportions: its middle,
// or what part decides, where that is drawn.
func (f Fit) window(width, height int, of Size, part uint64) image.Rectangle {
	w, h := width, height
	if w*of.Height > h*of.Width {
		w = max(1, (h*of.Width+of.Height/2)/of.Height)
	} else {
		h = max(1, (w*of.Height+of.Width/2)/of.Width)
	}
	least, random := f.random()
	if !random || part == 0 {
		x, y := (width-w)/2, (height-h)/2
		return image.Rect(x, y, x+w, y+h)
	}
	uniform := func(k uint64) float64 { return float64(mix(part+k)>>11) / (1 << 53) }
	share := least + (1-least)*uniform(0)
	w, h = max(1, int(float64(w)*share+0.5)), max(1, int(float64(h)*share+0.5))
	x, y := int(uniform(1)*float64(width-w+1)), int(uniform(2)*float64(height-h+1))
	return image.Rect(x, y, x+w, y+h)
}

// partOf is what decides the part of an image that is cut out at a position of the stream.
func partOf(seed uint64, position int64) uint64 {
	return mix(mix(seed+0x2545f4914f6cdd1d)^uint64(position)) | 1 // 0 is the middle
}

// asked is the shape that images of a shape are brought to, and how.
func (o Options) asked(s shape) (shape, Fit) {
	fit := Fit("")
	if o.Size != (Size{}) {
		s.height, s.width, fit = o.Size.Height, o.Size.Width, Crop
		if o.Fit != "" {
			fit = o.Fit
		}
	}
	if o.Channels > 0 {
		s.channels = o.Channels
	}
	return s, fit
}

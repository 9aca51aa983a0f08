package data

import (
	"fmt"
	"image"
	"image/color"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// How far a set is looked through for colour: headers of so many pictures spread
// over it, then the pixels of so many of those whose header does not say grey.
const (
	maxHeaders      = 4096
	maxColourImages = 64
	maxColourPixels = 1 << 26
)

// greyTolerance is by how many of 255 levels red, green and blue of a grey pixel
// may differ: as far as lossy WebP rounds.
const greyTolerance = 1

// headerBytes are read of a picture, the latter if the first do not hold its header.
var headerBytes = [...]int64{4 << 10, 64 << 10}

// channels is 3 if any picture that is looked at has colour. What counts are the
// pixels, not how a format stores them; broken pictures have no say. first is the
// first picture of the set.
func (f *files) channels(first photo) int {
	if !isGrey(first.Image) {
		return 3
	}
	looked := spread(len(f.entries), maxHeaders)
	pixels := make([]int64, len(looked)) // 0: known to be grey
	each(len(looked), func(i int) bool {
		pixels[i] = f.perhapsColour(looked[i])
		return true
	})
	var open []int
	for i := range looked {
		if pixels[i] > 0 {
			open = append(open, i)
		}
	}
	var budget int64
	var chosen []int
	for _, i := range spread(len(open), maxColourImages) {
		if at := open[i]; len(chosen) == 0 || budget+pixels[at] <= maxColourPixels {
			chosen = append(chosen, looked[at])
			budget += pixels[at]
		}
	}
	var colour, stored atomic.Bool
	each(len(chosen), func(i int) bool {
		if p, err := f.picture(chosen[i]); err == nil {
			stored.Store(true)
			if !isGrey(p.Image) {
				colour.Store(true)
			}
		}
		return !colour.Load()
	})
	if colour.Load() {
		f.notes = append(f.notes, "some pictures are grey, some in colour: all are taken as colour; --channels 1 makes all grey")
		return 3
	}
	if n, seen := len(f.entries), len(looked)-len(open)+len(chosen); seen < n {
		f.notes = append(f.notes, fmt.Sprintf("taken as grey, as the %d of %d pictures are that were looked at; --channels 3 takes all as colour", seen, n))
	} else if stored.Load() {
		f.notes = append(f.notes, "taken as grey: some pictures are stored as colour and have none; --channels 3 takes all as colour")
	}
	return 1
}

// each calls do for 0 … n−1 on all processors until one call returns false.
func each(n int, do func(i int) bool) {
	var next atomic.Int64
	var group errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if !do(i) {
					next.Store(int64(n))
				}
			}
			return nil
		})
	}
	_ = group.Wait() // no call returns an error
}

// perhapsColour returns the number of a picture's pixels; 0 if its header says that
// it is grey, or if it is none.
func (f *files) perhapsColour(i int) int64 {
	for _, limit := range headerBytes {
		r, err := f.reader(f.entries[i])
		if err != nil {
			return 0
		}
		_, k, c, err := readPicture("", r, limit)
		r.Close()
		switch {
		case err != nil && k.decode == nil:
			return 0
		case err == nil && greyModel(c.ColorModel):
			return 0
		case err == nil:
			return int64(c.Width) * int64(c.Height)
		}
	}
	return maxColourPixels / maxColourImages // its header is further on
}

func greyModel(m color.Model) bool {
	if p, ok := m.(color.Palette); ok {
		return !slices.ContainsFunc(p, func(c color.Color) bool { return !greyColour(c) })
	}
	return m == color.GrayModel || m == color.Gray16Model
}

// isGrey says whether no pixel of a picture has a colour.
func isGrey(img image.Image) bool {
	switch m := img.(type) {
	case *image.Gray, *image.Gray16:
		return true
	case *image.Paletted:
		var used [256]bool
		for y := range m.Rect.Dy() {
			for _, i := range m.Pix[y*m.Stride:][:m.Rect.Dx()] {
				used[i] = true
			}
		}
		for i, e := range m.Palette {
			if used[i] && !greyColour(e) {
				return false
			}
		}
		return true
	case *image.YCbCr:
		colour := func(c byte) bool { return c != 128 }
		if !slices.ContainsFunc(m.Cb, colour) && !slices.ContainsFunc(m.Cr, colour) {
			return true
		}
	}
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if !greyColour(img.At(x, y)) {
				return false
			}
		}
	}
	return true
}

func greyColour(c color.Color) bool {
	r, g, b, _ := c.RGBA() // with alpha: what is clear has no colour
	r, g, b = r>>8, g>>8, b>>8
	return max(r, g, b)-min(r, g, b) <= greyTolerance
}

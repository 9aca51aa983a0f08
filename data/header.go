package data

import (
	"image"
	"image/color"
)

// Header is what the file of an image says of it, without its pixels.
type Header struct {
	Format        string // PNG, JPEG, …
	Width, Height int    // as it is to be seen
	Bits          int    // of a value: 8 or 16
}

// HeaderOf reads the header of the file of image i; there is false where the images of a
// set have no files of their own.
func HeaderOf(d Dataset, i int) (h Header, there bool, err error) {
	f, there := stored(d).(*files)
	if !there {
		return h, false, nil
	}
	head, k, c, err := f.header(i)
	if err != nil {
		return h, true, err
	}
	held := upright
	if k.metadata != nil {
		held = orientationOf(k.metadata(head))
	}
	h = Header{Format: k.name, Bits: bitsOf(c.ColorModel)}
	h.Width, h.Height = held.size(c.Width, c.Height)
	return h, true, nil
}

// header reads the beginning of a picture, as far as its header goes.
func (f *files) header(i int) (head []byte, k kind, c image.Config, err error) {
	for _, limit := range headerBytes {
		r, err := f.reader(f.entries[i])
		if err != nil {
			return nil, k, c, err
		}
		head, k, c, err = readPicture(f.root+f.entries[i].path, r, limit)
		r.Close()
		if err == nil || k.decode == nil {
			return head, k, c, err
		}
	}
	r, err := f.reader(f.entries[i]) // its header is further on
	if err != nil {
		return nil, k, c, err
	}
	defer r.Close()
	return readPicture(f.root+f.entries[i].path, r, 0)
}

// bitsOf a value of a colour model.
func bitsOf(m color.Model) int {
	switch m {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model:
		return 16
	}
	return 8
}

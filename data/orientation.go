package data

import (
	"bytes"
	"encoding/binary"
	"image"
	"regexp"
)

// orientation is the value of Exif's tag 0x0112: which sides of the picture the
// first stored row and column are.
type orientation int

const (
	upright      orientation = 1 // row: top, column: left
	mirrored     orientation = 2 // top, right
	turned       orientation = 3 // bottom, right
	upsideDown   orientation = 4 // bottom, left
	transposed   orientation = 5 // left, top
	turnedRight  orientation = 6 // right, top
	transversed  orientation = 7 // right, bottom
	turnedLeft   orientation = 8 // left, bottom
	firstSwapped             = transposed
)

// size of a picture as it is to be seen, from its stored size, and the other way.
func (o orientation) size(width, height int) (int, int) {
	if o >= firstSwapped {
		return height, width
	}
	return width, height
}

// stored returns where pixel (x, y) of the picture to be seen lies in storage of w×h pixels.
func (o orientation) stored(x, y, w, h int) (int, int) {
	switch o {
	case mirrored:
		return w - 1 - x, y
	case turned:
		return w - 1 - x, h - 1 - y
	case upsideDown:
		return x, h - 1 - y
	case transposed:
		return y, x
	case turnedRight:
		return y, h - 1 - x
	case transversed:
		return w - 1 - y, h - 1 - x
	case turnedLeft:
		return w - 1 - y, x
	}
	return x, y
}

// storedRect is stored for a rectangle.
func (o orientation) storedRect(r image.Rectangle, w, h int) image.Rectangle {
	x0, y0 := o.stored(r.Min.X, r.Min.Y, w, h)
	x1, y1 := o.stored(r.Max.X-1, r.Max.Y-1, w, h)
	return image.Rect(min(x0, x1), min(y0, y1), max(x0, x1)+1, max(y0, y1)+1)
}

var xmpOrientation = regexp.MustCompile(`tiff:Orientation(?:="|>)([1-8])`)

// orientationOf a picture's Exif, or else of its XMP; upright if neither says it.
func orientationOf(exif, xmp []byte) orientation {
	if o := exifOrientation(bytes.TrimPrefix(exif, []byte("Exif\x00\x00"))); o != 0 {
		return o
	}
	if m := xmpOrientation.FindSubmatch(xmp); m != nil {
		return orientation(m[1][0] - '0')
	}
	return upright
}

// exifOrientation reads tag 0x0112 of the first directory of a TIFF structure
// (TIFF 6.0, section 2); 0 if there is none.
func exifOrientation(tiff []byte) orientation {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(tiff, []byte("II*\x00")):
		order = binary.LittleEndian
	case bytes.HasPrefix(tiff, []byte("MM\x00*")):
		order = binary.BigEndian
	default:
		return 0
	}
	if len(tiff) < 8 {
		return 0
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 0
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			return 0
		}
		if order.Uint16(entries) == 0x0112 {
			value := uint32(order.Uint16(entries[8:]))
			if order.Uint16(entries[2:]) == 4 { // LONG, which is wrong and met
				value = order.Uint32(entries[8:])
			}
			if value >= 1 && value <= 8 {
				return orientation(value)
			}
			return 0
		}
		entries = entries[12:]
	}
	return 0
}

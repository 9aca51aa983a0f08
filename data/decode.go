package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"io"
	"slices"
	"strings"

	"golang.org/x/image/tiff"
)

// Limits of what a picture file may ask for. A file is read no further than its
// header explains, so that neither a packed one nor its header can take more
// memory than the pixels it announces.
const (
	maxPixels     = 1 << 28  // a header of more is refused before memory is taken
	bytesPerPixel = 8        // no format stores more
	maxExtra      = 32 << 20 // and so much for metadata; a TIFF may have its header at its end
	maxTIFF       = 256 << 20
	magicBytes    = 64 // are enough to know the kind
)

// kind is a format of pictures, known by its first bytes.
type kind struct {
	name   string
	is     func(head []byte) bool
	extra  int64 // bytes that are read before the header is looked at
	config func([]byte) (image.Config, error)
	decode func([]byte) (image.Image, error) // nil: the format is known but not read
	// metadata finds what says how the picture is held; nil: the format has none.
	metadata func([]byte) (exif, xmp []byte)
}

var kinds = []kind{
	{"PNG", begins(signature), maxExtra, pngConfig, decodePNG, pngMetadata},
	{"JPEG", begins("\xff\xd8"), maxExtra, jpegConfig, decodeJPEG, jpegMetadata},
	{"GIF", begins("GIF8"), maxExtra, gifConfig, decodeGIF, nil},
	{"BMP", begins("BM"), maxExtra, bmpConfig, decodeBMP, nil},
	{"WebP", isWebP, maxExtra, webpConfig, decodeWebP, webpMetadata},
	{"TIFF", begins("II*\x00", "MM\x00*"), maxTIFF, tiffConfig, decodeTIFF, func(data []byte) (exif, xmp []byte) { return data, nil }},
	{"HEIC", brand("heic", "heix", "hevc", "heim", "heis", "mif1", "msf1"), 0, nil, nil, nil},
	{"AVIF", brand("avif", "avis"), 0, nil, nil, nil},
	{"JPEG XL", begins("\xff\x0a", "\x00\x00\x00\x0cJXL "), 0, nil, nil, nil},
	{"JPEG 2000", begins("\x00\x00\x00\x0cjP  ", "\xff\x4f\xff\x51"), 0, nil, nil, nil},
	{"Photoshop", begins("8BPS"), 0, nil, nil, nil},
}

const readable = "PNG, JPEG, GIF, BMP, WebP or TIFF"

func begins(magics ...string) func([]byte) bool {
	return func(head []byte) bool {
		for _, m := range magics {
			if bytes.HasPrefix(head, []byte(m)) {
				return true
			}
		}
		return false
	}
}

// brand recognises ISO media files (ISO/IEC 14496-12) by their first brand.
func brand(brands ...string) func([]byte) bool {
	return func(head []byte) bool {
		if len(head) < 12 || string(head[4:8]) != "ftyp" {
			return false
		}
		for _, b := range brands {
			if string(head[8:12]) == b {
				return true
			}
		}
		return false
	}
}

// unsupported is a feature of a sound file that is not read here.
type unsupported string

func (u unsupported) Error() string { return string(u) }

// photo is a decoded picture, as it is stored, and how it is to be held.
type photo struct {
	image.Image
	orientation orientation
	part        uint64 // decides what of it is cut out, where that is drawn; 0: its middle
}

// size of the picture as it is to be seen.
func (p photo) size() (width, height int) {
	return p.orientation.size(p.Bounds().Dx(), p.Bounds().Dy())
}

// decode reads a picture in any format known here.
func decode(name string, r io.Reader) (photo, error) {
	data, k, c, err := readPicture(name, r, 0)
	if err != nil {
		return photo{}, err
	}
	img, err := k.decode(data)
	if limit := k.mostBytes(c); err != nil && int64(len(data)) >= limit {
		err = fmt.Errorf("in the first %d bytes, more than %d×%d pixels need: %w", limit, c.Width, c.Height, err)
	}
	if err != nil {
		return photo{}, pictureError(name, k, err)
	}
	p := photo{Image: img, orientation: upright}
	if k.metadata != nil {
		p.orientation = orientationOf(k.metadata(data))
	}
	return p, nil
}

// mostBytes is how far a file of a picture is read.
func (k kind) mostBytes(c image.Config) int64 {
	return k.extra + bytesPerPixel*int64(c.Width)*int64(c.Height)
}

// readPicture reads a file as far as its header explains: bytesPerPixel for each
// of its pixels, and what its kind has extra. With a limit it reads no further,
// and errors of the header may come from that.
func readPicture(name string, r io.Reader, limit int64) ([]byte, kind, image.Config, error) {
	var c image.Config
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, magicBytes); err != nil && !errors.Is(err, io.EOF) {
		return nil, kind{}, c, &Error{Path: name, Problem: "cannot be read to its end", Err: err}
	}
	k, err := kindOf(name, b.Bytes())
	if err != nil {
		return nil, k, c, err
	}
	more := func(to int64) (whole bool, err error) {
		_, err = io.CopyN(&b, r, to-int64(b.Len()))
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			err = &Error{Path: name, Problem: "cannot be read to its end", Err: err}
		}
		return false, err
	}
	first := k.extra
	if limit > 0 {
		first = limit
	}
	whole, err := more(first)
	if err != nil {
		return nil, k, c, err
	}
	c, err = k.config(b.Bytes())
	if err != nil {
		return nil, k, c, pictureError(name, k, err)
	}
	if c.Width < 1 || c.Height < 1 || c.Width > maxPixels/c.Height {
		return nil, k, c, &Error{Path: name, Problem: fmt.Sprintf(
			"is a %s of %d×%d pixels; want 1 to 2²⁸ of them", k.name, c.Width, c.Height)}
	}
	if !whole && limit == 0 {
		if _, err := more(k.mostBytes(c)); err != nil {
			return nil, k, c, err
		}
	}
	return b.Bytes(), k, c, nil
}

// kindOf a file that begins with head.
func kindOf(name string, head []byte) (kind, error) {
	for _, k := range kinds {
		if !k.is(head) {
			continue
		}
		if k.decode == nil {
			return k, &Error{Path: name, Problem: fmt.Sprintf("is a picture in %s, a format that is not read; convert it to PNG", k.name)}
		}
		return k, nil
	}
	problem := "is not a picture; want " + readable
	if len(head) == 0 {
		problem = "is empty; replace it"
	}
	return kind{}, &Error{Path: name, Problem: problem}
}

// pictureError says whether a picture is damaged, or sound and not read here.
func pictureError(name string, k kind, err error) error {
	if what := unsupported(""); errors.As(err, &what) {
		return &Error{Path: name, Problem: fmt.Sprintf("is a %s of a kind that is not read (%s); convert it to PNG", k.name, string(what))}
	}
	return &Error{Path: name, Problem: fmt.Sprintf("is a damaged picture (%s); replace it", strings.ToLower(k.name)), Err: err}
}

func gifConfig(data []byte) (image.Config, error) { return gif.DecodeConfig(bytes.NewReader(data)) }

// decodeGIF returns the first frame in its place on the canvas, which is clear if
// the frame has transparent pixels, and else of the background's colour.
func decodeGIF(data []byte) (image.Image, error) {
	c, err := gifConfig(data)
	if err != nil {
		return nil, err
	}
	img, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var ground color.Color = color.Transparent
	global, _ := c.ColorModel.(color.Palette)
	local, _ := img.ColorModel().(color.Palette)
	holes := slices.ContainsFunc(local, func(c color.Color) bool { _, _, _, a := c.RGBA(); return a == 0 })
	if i := int(data[11]); !holes && i < len(global) { // the screen descriptor's index
		ground = global[i]
	}
	return onCanvas(img, image.Rect(0, 0, c.Width, c.Height), ground), nil
}

func tiffConfig(data []byte) (image.Config, error) {
	c, err := tiff.DecodeConfig(bytes.NewReader(data))
	return c, tiffError(err)
}

func decodeTIFF(data []byte) (image.Image, error) {
	img, err := tiff.Decode(bytes.NewReader(data))
	return img, tiffError(err)
}

func tiffError(err error) error {
	if what := tiff.UnsupportedError(""); errors.As(err, &what) {
		return unsupported(string(what))
	}
	return err
}

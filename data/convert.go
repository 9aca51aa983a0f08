package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // decoders register themselves
	_ "image/jpeg"
	_ "image/png"
	"io"

	"golang.org/x/image/draw"

	_ "golang.org/x/image/bmp" // decoders register themselves
	_ "golang.org/x/image/webp"
)

// maxPixels bounds what a header may ask for: a picture of more is refused
// before memory is taken.
const maxPixels = 1 << 28

// shape of an image in bytes.
type shape struct{ height, width, channels int }

func (s shape) size() int { return s.height * s.width * s.channels }

// decode reads a picture in any format known here.
func decode(name string, r io.Reader) (image.Image, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, &Error{Path: name, Problem: "cannot be read to its end", Err: err}
	}
	c, kind, err := image.DecodeConfig(bytes.NewReader(data))
	if err == nil && (c.Width < 1 || c.Height < 1 || c.Width > maxPixels/c.Height) {
		err = fmt.Errorf("%d×%d pixels", c.Width, c.Height)
	}
	var img image.Image
	if err == nil {
		img, _, err = image.Decode(bytes.NewReader(data))
	}
	if err != nil {
		problem := "is not a picture that can be decoded; want PNG, JPEG, GIF, BMP or WebP, or leave it out with --skip-broken"
		if kind != "" || errors.Is(err, io.ErrUnexpectedEOF) {
			problem = fmt.Sprintf("is a damaged picture (%s); replace it, or leave it out with --skip-broken", kind)
		}
		return nil, &Error{Path: name, Problem: problem, Err: err}
	}
	return img, nil
}

// channelsOf a picture: 1 if it is grey.
func channelsOf(img image.Image) int {
	switch img.ColorModel() {
	case color.GrayModel, color.Gray16Model:
		return 1
	}
	return 3
}

// convert writes a picture as bytes: a centred square of it, resized with
// antialiasing, if square is set; transparent parts become white.
func convert(img image.Image, s shape, square bool, dst []byte) {
	b := img.Bounds()
	if square {
		side := min(b.Dx(), b.Dy())
		x, y := b.Min.X+(b.Dx()-side)/2, b.Min.Y+(b.Dy()-side)/2
		b = image.Rect(x, y, x+side, y+side)
	}
	canvas := image.NewRGBA(image.Rect(0, 0, s.width, s.height))
	draw.Draw(canvas, canvas.Rect, image.White, image.Point{}, draw.Src)
	if b.Dx() == s.width && b.Dy() == s.height {
		draw.Draw(canvas, canvas.Rect, img, b.Min, draw.Over)
	} else {
		draw.CatmullRom.Scale(canvas, canvas.Rect, img, b, draw.Over, nil)
	}
	for i := range s.height * s.width {
		p := canvas.Pix[4*i:]
		if s.channels == 3 {
			copy(dst[3*i:3*i+3], p[:3])
		} else {
			dst[i] = grey(p[0], p[1], p[2])
		}
	}
}

// grey is ITU-R BT.601 luma, as image/color has it.
func grey(r, g, b byte) byte {
	return byte((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

package data

import (
	"image"
	"image/color"

	"golang.org/x/image/draw"
)

// shape of an image in bytes.
type shape struct{ height, width, channels int }

func (s shape) size() int { return s.height * s.width * s.channels }

// channelsOf a picture by its colour model: 1 if it is grey.
func channelsOf(img image.Image) int {
	switch img.ColorModel() {
	case color.GrayModel, color.Gray16Model:
		return 1
	}
	return 3
}

// onCanvas puts the first frame of an animation in its place on the ground.
func onCanvas(frame image.Image, canvas image.Rectangle, ground color.Color) image.Image {
	if frame.Bounds() == canvas {
		return frame
	}
	whole := image.NewNRGBA(canvas)
	draw.Draw(whole, canvas, image.NewUniform(ground), image.Point{}, draw.Src)
	draw.Draw(whole, frame.Bounds().Intersect(canvas), frame, frame.Bounds().Intersect(canvas).Min, draw.Src)
	return whole
}

// convert writes a picture, as it is to be seen, as bytes: a centred square of
// it, resized with antialiasing, if square is set; transparent parts become white.
func convert(p photo, s shape, square bool, dst []byte) {
	b := p.Bounds()
	if square {
		w, h := p.size()
		side := min(w, h)
		x, y := (w-side)/2, (h-side)/2
		b = p.orientation.storedRect(image.Rect(x, y, x+side, y+side), b.Dx(), b.Dy()).Add(b.Min)
	}
	width, height := p.orientation.size(s.width, s.height) // as stored
	canvas := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(canvas, canvas.Rect, image.White, image.Point{}, draw.Src)
	if b.Dx() == width && b.Dy() == height {
		draw.Draw(canvas, canvas.Rect, p.Image, b.Min, draw.Over)
	} else {
		draw.CatmullRom.Scale(canvas, canvas.Rect, p.Image, b, draw.Over, nil)
	}
	for i := range s.height * s.width {
		at := 4 * i
		if p.orientation != upright {
			x, y := p.orientation.stored(i%s.width, i/s.width, width, height)
			at = 4 * (y*width + x)
		}
		c := canvas.Pix[at:]
		if s.channels == 3 {
			copy(dst[3*i:3*i+3], c[:3])
		} else {
			dst[i] = grey(c[0], c[1], c[2])
		}
	}
}

// grey is ITU-R BT.601 luma, as image/color has it.
func grey(r, g, b byte) byte {
	return byte((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

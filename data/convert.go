package data

import (
	"image"
	"image/color"

	"fluxion/data/resample"

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

// convert writes a picture, as it is to be seen, as bytes: brought to a shape as fit says,
// resized with antialiasing; transparent parts become white.
func convert(p photo, s shape, fit Fit, dst []byte) {
	width, height := p.orientation.size(s.width, s.height) // as stored
	canvas := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(canvas, canvas.Rect, image.White, image.Point{}, draw.Src)
	p.paint(canvas, fit)
	for i := range s.height * s.width {
		at := 4 * p.orientation.at(i, s, width, height)
		c := canvas.Pix[at:]
		if s.channels == 3 {
			copy(dst[3*i:3*i+3], c[:3])
		} else {
			dst[i] = grey(c[0], c[1], c[2])
		}
	}
}

// convertDeep is convert to values of 16 bits.
func convertDeep(p photo, s shape, fit Fit, dst []float32) {
	width, height := p.orientation.size(s.width, s.height)
	canvas := image.NewRGBA64(image.Rect(0, 0, width, height))
	draw.Draw(canvas, canvas.Rect, image.White, image.Point{}, draw.Src)
	p.paint(canvas, fit)
	for i := range s.height * s.width {
		at := p.orientation.at(i, s, width, height)
		c := canvas.RGBA64At(at%width, at/width)
		if s.channels == 3 {
			dst[3*i], dst[3*i+1], dst[3*i+2] = float32(c.R), float32(c.G), float32(c.B)
		} else {
			dst[i] = float32((19595*uint64(c.R) + 38470*uint64(c.G) + 7471*uint64(c.B) + 1<<15) >> 16)
		}
	}
}

// at is the pixel of the canvas, as it is stored, that pixel i of a shape is.
func (o orientation) at(i int, s shape, width, height int) int {
	if o == upright {
		return i
	}
	x, y := o.stored(i%s.width, i/s.width, width, height)
	return y*width + x
}

// paint draws the picture, as it is stored, on a canvas.
func (p photo) paint(canvas draw.Image, fit Fit) {
	b, to := p.Bounds(), canvas.Bounds()
	switch fit {
	case "", Stretch:
	case Pad:
		w, h := to.Dx(), to.Dy()
		if b.Dx()*h > b.Dy()*w {
			h = max(1, (w*b.Dy()+b.Dx()/2)/b.Dx())
		} else {
			w = max(1, (h*b.Dx()+b.Dy()/2)/b.Dy())
		}
		to = image.Rect(0, 0, w, h).Add(image.Pt((to.Dx()-w)/2, (to.Dy()-h)/2))
	default:
		w, h := p.size()
		width, height := p.orientation.size(to.Dx(), to.Dy())
		b = p.orientation.storedRect(fit.window(w, h, Size{height, width}, p.part), b.Dx(), b.Dy()).Add(b.Min)
	}
	if b.Size() == to.Size() {
		draw.Draw(canvas, to, p.Image, b.Min, draw.Over)
	} else {
		resample.Scale(canvas, to, p.Image, b)
	}
}

// grey is ITU-R BT.601 luma, as image/color has it.
func grey(r, g, b byte) byte {
	return byte((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

package resample

import "image"

// alpha is what a reader says of opacity.
type alpha int

const (
	one  alpha = iota // it is 1, also in rows, which sum up to no rounding
	full              // it is 0xffff everywhere, whose sums round
	kept              // it is the fourth channel
)

// reader gives the values of a picture, from 0 to 0xffff, premultiplied.
type reader struct {
	channels int
	alpha    alpha
	over     bool // it is drawn over what is there
	// read writes n pixels of a row: channel c of pixel i to i·lane + c·wide.
	read func(x, y, n int, to []float64, lane int)
}

func readerOf(src image.Image) reader {
	o, ok := src.(interface{ Opaque() bool })
	opaque := ok && o.Opaque()
	switch src := src.(type) {
	case *image.Gray:
		return reader{1, one, false, func(x, y, n int, to []float64, lane int) {
			for i, v := range src.Pix[src.PixOffset(x, y):][:n] {
				to[i*lane] = float64(uint32(v) * 0x101)
			}
		}}
	case *image.YCbCr:
		if halves(src.SubsampleRatio) >= 0 {
			return reader{3, one, false, readYCbCr(src)}
		}
	case *image.RGBA:
		if opaque {
			return reader{3, full, false, func(x, y, n int, to []float64, lane int) { readRGB(src.Pix[src.PixOffset(x, y):][:4*n], to, lane) }}
		}
	case *image.NRGBA:
		if opaque {
			return reader{3, full, false, func(x, y, n int, to []float64, lane int) { readRGB(src.Pix[src.PixOffset(x, y):][:4*n], to, lane) }}
		}
		return reader{4, kept, true, func(x, y, n int, to []float64, lane int) { readNRGBA(src.Pix[src.PixOffset(x, y):][:4*n], to, lane) }}
	}
	if deep, ok := src.(image.RGBA64Image); ok {
		return reader{4, kept, !opaque, func(x, y, n int, to []float64, lane int) {
			for i := range n {
				c, v := deep.RGBA64At(x+i, y), to[i*lane:]
				v[0], v[wide], v[2*wide], v[3*wide] = float64(c.R), float64(c.G), float64(c.B), float64(c.A)
			}
		}}
	}
	return reader{4, kept, !opaque, func(x, y, n int, to []float64, lane int) {
		for i := range n {
			v := to[i*lane:]
			r, g, b, a := src.At(x+i, y).RGBA()
			v[0], v[wide], v[2*wide], v[3*wide] = float64(r), float64(g), float64(b), float64(a)
		}
	}}
}

// readRGB are opaque pixels of four bytes.
func readRGB(pixels []byte, to []float64, lane int) {
	for i := 0; 4*i < len(pixels); i++ {
		p, v := pixels[4*i:][:3:3], to[i*lane:][:2*wide+1]
		v[0], v[wide], v[2*wide] = float64(uint32(p[0])*0x101), float64(uint32(p[1])*0x101), float64(uint32(p[2])*0x101)
	}
}

// readNRGBA are pixels of four bytes, whose colours are not premultiplied.
func readNRGBA(pixels []byte, to []float64, lane int) {
	for i := 0; 4*i < len(pixels); i++ {
		p, v := pixels[4*i:][:4:4], to[i*lane:][:3*wide+1]
		a := uint32(p[3]) * 0x101
		v[0], v[wide], v[2*wide], v[3*wide] = float64(uint32(p[0])*a/0xff), float64(uint32(p[1])*a/0xff), float64(uint32(p[2])*a/0xff), float64(a)
	}
}

// halves says which sides of the colours' planes are halved: 1 the width, 2 the height; −1: they
// are smaller yet.
func halves(of image.YCbCrSubsampleRatio) int {
	switch of {
	case image.YCbCrSubsampleRatio444:
		return 0
	case image.YCbCrSubsampleRatio422:
		return 1
	case image.YCbCrSubsampleRatio440:
		return 2
	case image.YCbCrSubsampleRatio420:
		return 3
	}
	return -1
}

func readYCbCr(src *image.YCbCr) func(x, y, n int, to []float64, lane int) {
	shift := halves(src.SubsampleRatio) & 1
	return func(x, y, n int, to []float64, lane int) {
		light, colours := src.Y[src.YOffset(x, y):][:n], src.COffset(x, y)
		blue, red := src.Cb[colours:], src.Cr[colours:]
		first := x & shift // the first pixel may be the second of a pair
		for i, l := range light {
			at := (i + first) >> shift
			// BT.601 in fixed point, as image/color has it, in 16 bits.
			yy, cb, cr := int32(l)*0x10101, int32(blue[at])-128, int32(red[at])-128
			v := to[i*lane:][:2*wide+1]
			v[0] = float64(clamp((yy + 91881*cr) >> 8))
			v[wide] = float64(clamp((yy - 22554*cb - 46802*cr) >> 8))
			v[2*wide] = float64(clamp((yy + 116130*cb) >> 8))
		}
	}
}

func clamp(v int32) int32 { return min(max(v, 0), 0xffff) }

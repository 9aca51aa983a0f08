package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math/bits"

	"golang.org/x/image/bmp"
)

// Compressions of a bitmap (BITMAPINFOHEADER.biCompression).
const (
	bmpPlain       = 0
	bmpRLE8        = 1
	bmpRLE4        = 2
	bmpMasks       = 3
	bmpMasksOfFour = 6
)

// bmpFile is the header of a bitmap that golang.org/x/image/bmp does not read:
// run lengths, masks of colours, 16 bits, OS/2.
type bmpFile struct {
	width, height int
	topDown       bool
	bits          int
	compression   uint32
	masks         [4]uint32 // red, green, blue, alpha
	palette       color.Palette
	pixels        []byte
}

func bmpConfig(data []byte) (image.Config, error) {
	c, err := bmp.DecodeConfig(bytes.NewReader(data))
	if !errors.Is(err, bmp.ErrUnsupported) {
		return c, err
	}
	f, err := parseBMP(data)
	c = image.Config{ColorModel: color.RGBAModel, Width: f.width, Height: f.height}
	if f.palette != nil {
		c.ColorModel = f.palette
	}
	return c, err
}

func decodeBMP(data []byte) (image.Image, error) {
	img, err := bmp.Decode(bytes.NewReader(data))
	if !errors.Is(err, bmp.ErrUnsupported) {
		return img, err
	}
	f, err := parseBMP(data)
	if err != nil {
		return nil, err
	}
	switch f.compression {
	case bmpRLE8, bmpRLE4:
		return f.runs()
	}
	return f.rows()
}

func parseBMP(data []byte) (f bmpFile, err error) {
	if len(data) < 26 {
		return f, io.ErrUnexpectedEOF
	}
	le := binary.LittleEndian
	offset, size := uint64(le.Uint32(data[10:])), uint64(le.Uint32(data[14:]))
	if uint64(len(data)) < 14+size {
		return f, io.ErrUnexpectedEOF
	}
	h := data[14:]
	entry, used := 4, 0
	switch {
	case size == 12: // OS/2 1.x
		entry = 3
		f.width, f.height, f.bits = int(le.Uint16(h[4:])), int(le.Uint16(h[6:])), int(le.Uint16(h[10:]))
	case size >= 40:
		f.width, f.height, f.bits = int(int32(le.Uint32(h[4:]))), int(int32(le.Uint32(h[8:]))), int(le.Uint16(h[14:]))
		f.compression, used = le.Uint32(h[16:]), int(int32(le.Uint32(h[32:])))
	default:
		return f, unsupported(fmt.Sprintf("a header of %d bytes", size))
	}
	if f.height < 0 {
		f.height, f.topDown = -f.height, true
	}
	if f.width < 1 || f.height < 1 || f.width > maxPixels/f.height || used < 0 {
		return f, fmt.Errorf("a header of %d×%d pixels and %d colours", f.width, f.height, used)
	}
	table := data[14+size : min(max(14+size, offset), uint64(len(data)))]
	switch {
	case f.compression == bmpMasks || f.compression == bmpMasksOfFour:
		n := 3
		if f.compression == bmpMasksOfFour || size >= 56 {
			n = 4
		}
		for i := range n { // behind a header of 40 bytes, inside a longer one
			if len(h) < 44+4*i {
				return f, io.ErrUnexpectedEOF
			}
			f.masks[i] = le.Uint32(h[40+4*i:])
		}
	case f.bits == 16:
		f.masks = [4]uint32{31 << 10, 31 << 5, 31}
	case f.bits == 24 || f.bits == 32:
		f.masks = [4]uint32{255 << 16, 255 << 8, 255}
	}
	switch masked := f.compression == bmpMasks || f.compression == bmpMasksOfFour; {
	case masked && (f.bits == 16 || f.bits == 32), f.compression == bmpPlain && (f.bits == 16 || f.bits == 24 || f.bits == 32):
	case f.compression == bmpPlain && (f.bits == 1 || f.bits == 2 || f.bits == 4 || f.bits == 8),
		f.compression == bmpRLE8 && f.bits == 8, f.compression == bmpRLE4 && f.bits == 4:
		if used == 0 || used > 1<<f.bits {
			used = 1 << f.bits
		}
		for i := 0; i < used && len(table) >= entry; i++ {
			f.palette = append(f.palette, color.RGBA{table[2], table[1], table[0], 255})
			table = table[entry:]
		}
	default:
		return f, unsupported(fmt.Sprintf("compression %d of %d bits a pixel", f.compression, f.bits))
	}
	if offset > uint64(len(data)) {
		return f, io.ErrUnexpectedEOF
	}
	f.pixels = data[offset:]
	return f, nil
}

// row returns the line of the picture that is stored as line y.
func (f *bmpFile) row(y int) int {
	if f.topDown {
		return y
	}
	return f.height - 1 - y
}

// rows decodes pixels that lie one behind the other.
func (f *bmpFile) rows() (image.Image, error) {
	stride := (f.width*f.bits + 31) / 32 * 4
	if len(f.pixels) < stride*f.height {
		return nil, io.ErrUnexpectedEOF
	}
	img := image.NewNRGBA(image.Rect(0, 0, f.width, f.height))
	for y := range f.height {
		line := f.pixels[y*stride:]
		for x := range f.width {
			img.SetNRGBA(x, f.row(y), f.colour(line, x))
		}
	}
	return img, nil
}

// colour of pixel x of a line.
func (f *bmpFile) colour(line []byte, x int) color.NRGBA {
	if f.bits <= 8 {
		shift := 8 - f.bits - x*f.bits%8
		return f.entry(line[x*f.bits/8] >> shift & (1<<f.bits - 1))
	}
	var v uint32
	for i := f.bits/8 - 1; i >= 0; i-- {
		v = v<<8 | uint32(line[x*f.bits/8+i])
	}
	c := [4]byte{3: 255}
	for i, m := range f.masks {
		if m != 0 {
			low := bits.TrailingZeros32(m)
			c[i] = byte(uint64(v&m>>low) * 255 / uint64(m>>low))
		}
	}
	return color.NRGBA{c[0], c[1], c[2], c[3]}
}

// entry of the palette; what is beyond it is black.
func (f *bmpFile) entry(i byte) color.NRGBA {
	if int(i) >= len(f.palette) {
		return color.NRGBA{A: 255}
	}
	c := f.palette[i].(color.RGBA)
	return color.NRGBA{c.R, c.G, c.B, 255}
}

// runs decodes run lengths: pairs of a count and a colour (two in turn for four
// bits), and escapes. Pixels that are not written have colour 0.
func (f *bmpFile) runs() (image.Image, error) {
	img := image.NewNRGBA(image.Rect(0, 0, f.width, f.height))
	for i := range f.width * f.height {
		img.SetNRGBA(i%f.width, i/f.width, f.entry(0))
	}
	x, y, in := 0, 0, f.pixels
	put := func(i byte) {
		if x < f.width && y < f.height {
			img.SetNRGBA(x, f.row(y), f.entry(i))
		}
		x++
	}
	for y < f.height {
		if len(in) < 2 {
			return nil, io.ErrUnexpectedEOF
		}
		n, value := int(in[0]), in[1]
		in = in[2:]
		switch {
		case n > 0:
			for i := range n {
				switch {
				case f.bits == 8:
					put(value)
				case i%2 == 0:
					put(value >> 4)
				default:
					put(value & 15)
				}
			}
		case value == 0: // end of the line
			x, y = 0, y+1
		case value == 1: // end of the bitmap
			return img, nil
		case value == 2: // further right and on
			if len(in) < 2 {
				return nil, io.ErrUnexpectedEOF
			}
			x, y = x+int(in[0]), y+int(in[1])
			in = in[2:]
		default: // as many pixels as they are, filled up to 16 bits
			n := (int(value)*f.bits + 7) / 8
			if len(in) < n+n%2 {
				return nil, io.ErrUnexpectedEOF
			}
			for i := range int(value) {
				put(in[i*f.bits/8] >> (8 - f.bits - i*f.bits%8) & (1<<f.bits - 1))
			}
			in = in[n+n%2:]
		}
	}
	return img, nil
}

package data

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"

	"fluxion/data/durable"
)

// picture views bytes as an image.
func picture(pixels []byte, height, width, channels int) image.Image {
	r := image.Rect(0, 0, width, height)
	if channels == 1 {
		return &image.Gray{Pix: pixels, Stride: width, Rect: r}
	}
	img := image.NewNRGBA(r)
	for i := range height * width {
		copy(img.Pix[4*i:], pixels[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	return img
}

// EncodePNG is the file of one image, HWC with 1 or 3 channels, and texts about it.
func EncodePNG(pixels []byte, height, width, channels int, text map[string]string) ([]byte, error) {
	return encode(picture(pixels, height, width, channels), text)
}

// EncodePNG16 is EncodePNG of values clipped to ±1, in 16 bits.
func EncodePNG16(values []float32, height, width, channels int, text map[string]string) ([]byte, error) {
	r := image.Rect(0, 0, width, height)
	deep := func(i int) uint16 {
		return uint16(math.Floor(math.MaxUint16/2.0*(float64(min(max(values[i], -1), 1))+1) + 0.5))
	}
	if channels == 1 {
		img := image.NewGray16(r)
		for i := range values {
			img.SetGray16(i%width, i/width, color.Gray16{Y: deep(i)})
		}
		return encode(img, text)
	}
	img := image.NewNRGBA64(r)
	for i := range height * width {
		img.SetNRGBA64(i%width, i/width, color.NRGBA64{R: deep(3 * i), G: deep(3*i + 1), B: deep(3*i + 2), A: math.MaxUint16})
	}
	return encode(img, text)
}

const (
	gridGap  = 2    // pixels between the images of a grid
	tileSide = 96   // pixels that a small image may take in it
	gridSide = 2048 // of a grid that is drawn larger
)

// ScaleText is the text of a grid that says how many pixels are one of its images', along
// each side.
const ScaleText = "scale"

// EncodeGrid is the file of n images, NHWC, in rows of this many columns, and texts about it.
// One of small images is drawn larger by a whole factor, or a screen would hardly show them.
func EncodeGrid(pixels []byte, n, height, width, channels, columns int, text map[string]string) ([]byte, error) {
	tiles := make([]Tile, n)
	for i := range tiles {
		size := height * width * channels
		tiles[i] = Tile{Pixels{Bytes: pixels[i*size : (i+1)*size]}, Size{height, width}, channels}
	}
	return EncodeTiles(tiles, columns, text)
}

// larger repeats each pixel along both sides.
func larger(pixels []byte, height, width, channels, times int) []byte {
	to := make([]byte, 0, len(pixels)*times*times)
	for y := range height {
		begin := len(to)
		for x := range width {
			to = append(to, bytes.Repeat(pixels[(y*width+x)*channels:][:channels], times)...)
		}
		line := to[begin:]
		for range times - 1 {
			to = append(to, line...)
		}
	}
	return to
}

// WriteTiles writes what EncodeTiles gives, whole or not at all.
func WriteTiles(path string, tiles []Tile, columns int) error {
	file, err := EncodeTiles(tiles, columns, nil)
	if err != nil {
		return fmt.Errorf("%s cannot be encoded: %w", path, err)
	}
	return durable.Disk{}.WriteFile(path, file)
}

// WriteSheet writes what EncodeSheet gives, whole or not at all.
func WriteSheet(path string, p Pixels, n, height, width, channels, columns int) error {
	file, err := EncodeSheet(p, n, height, width, channels, columns)
	if err != nil {
		return fmt.Errorf("%s cannot be encoded: %w", path, err)
	}
	return durable.Disk{}.WriteFile(path, file)
}

func encode(img image.Image, text map[string]string) ([]byte, error) {
	var buffer bytes.Buffer
	if err := png.Encode(&buffer, img); err != nil {
		return nil, err
	}
	return withText(buffer.Bytes(), text), nil
}

// ReadPNG returns a picture, of any format that is read here, as bytes: 8-bit grey or RGB.
func ReadPNG(path string) (pixels []byte, height, width, channels int, err error) {
	p, err := readPhoto(path)
	if err != nil {
		return nil, 0, 0, 0, err
	}
	return p.pixels()
}

// DecodePNG is ReadPNG of what is read elsewhere, which errors call name.
func DecodePNG(name string, r io.Reader) (pixels []byte, height, width, channels int, err error) {
	p, err := decode(name, r)
	if err != nil {
		return nil, 0, 0, 0, err
	}
	return p.pixels()
}

// pixels of a picture as bytes: 8-bit grey or RGB.
func (p photo) pixels() (pixels []byte, height, width, channels int, err error) {
	w, h := p.size()
	s := shape{h, w, channelsOf(p.Image)}
	pixels = make([]byte, s.size())
	convert(p, s, "", pixels)
	return pixels, s.height, s.width, s.channels, nil
}

// ReadPicture returns a picture, of any format that is read here, at a size and channels, grey
// or RGB, as sets are brought to a size: its middle is cut out and resized.
func ReadPicture(path string, height, width, channels int) ([]byte, error) {
	p, err := readPhoto(path)
	if err != nil {
		return nil, err
	}
	fit := Crop
	if w, h := p.size(); w == width && h == height {
		fit = ""
	}
	s := shape{height, width, channels}
	pixels := make([]byte, s.size())
	convert(p, s, fit, pixels)
	return pixels, nil
}

func readPhoto(path string) (photo, error) {
	f, err := openRegular(path)
	if err != nil {
		return photo{}, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	defer f.Close()
	return decode(path, f)
}

package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"

	"golang.org/x/image/webp"
)

func isWebP(head []byte) bool {
	return len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP"
}

// webpFile is what a WebP container (RFC 9649, section 2) holds of its first frame.
type webpFile struct {
	canvas      image.Point // zero: that of the frame
	at, size    image.Point // of the first frame of an animation
	animated    bool
	alpha       []byte // ALPH
	lossy       []byte // "VP8 "
	lossless    []byte // VP8L
	exif, xmp   []byte
	endedBefore bool // in the middle of a chunk
}

// parseWebP reads the chunks of a file. One that is cut short is read as far as it goes.
func parseWebP(data []byte) (webpFile, error) {
	var f webpFile
	if !isWebP(data) {
		return f, errors.New("no RIFF container")
	}
	f.chunks(data[12:])
	if f.lossy == nil && f.lossless == nil {
		if f.endedBefore {
			return f, io.ErrUnexpectedEOF
		}
		return f, errors.New("no picture in the container")
	}
	return f, nil
}

func (f *webpFile) chunks(data []byte) {
	for len(data) >= 8 {
		id, n := string(data[:4]), uint64(binary.LittleEndian.Uint32(data[4:]))
		body := data[8:]
		if n > uint64(len(body)) {
			f.endedBefore = true
			if id != "ANMF" { // its picture may be whole
				return
			}
			n = uint64(len(body))
		}
		body = body[:n]
		switch done := f.lossy != nil || f.lossless != nil; {
		case id == "VP8X" && len(body) >= 10:
			f.canvas = image.Pt(1+uint24(body[4:]), 1+uint24(body[7:]))
		case id == "ANMF" && len(body) >= 16 && !f.animated && !done:
			f.animated = true
			f.at = image.Pt(2*uint24(body), 2*uint24(body[3:]))
			f.size = image.Pt(1+uint24(body[6:]), 1+uint24(body[9:]))
			f.chunks(body[16:])
		case id == "ALPH" && !done:
			f.alpha = body
		case id == "VP8 " && !done:
			f.lossy = body
		case id == "VP8L" && !done:
			f.lossless = body
		case id == "EXIF":
			f.exif = body
		case id == "XMP ":
			f.xmp = body
		}
		data = data[min(8+n+n%2, uint64(len(data))):]
	}
	f.endedBefore = f.endedBefore || len(data) > 0
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// still is the first frame as a file of its own.
func (f *webpFile) still() []byte {
	chunk := func(out []byte, id string, body []byte) []byte {
		out = binary.LittleEndian.AppendUint32(append(out, id...), uint32(len(body)))
		out = append(out, body...)
		return append(out, make([]byte, len(body)%2)...)
	}
	body := []byte("WEBP")
	switch {
	case f.lossless != nil:
		body = chunk(body, "VP8L", f.lossless)
	case f.alpha != nil:
		size := f.canvas
		if f.animated {
			size = f.size
		}
		w, h := size.X-1, size.Y-1
		body = chunk(body, "VP8X", []byte{1 << 4, 0, 0, 0, byte(w), byte(w >> 8), byte(w >> 16), byte(h), byte(h >> 8), byte(h >> 16)})
		body = chunk(body, "ALPH", f.alpha)
		fallthrough
	default:
		body = chunk(body, "VP8 ", f.lossy)
	}
	return chunk(nil, "RIFF", body)
}

// webpConfig is that of the canvas.
func webpConfig(data []byte) (image.Config, error) {
	f, err := parseWebP(data)
	if err != nil {
		return image.Config{}, err
	}
	c, err := webp.DecodeConfig(bytes.NewReader(f.still()))
	if err == nil && f.animated {
		if at := (image.Rectangle{f.at, f.at.Add(f.size)}); !at.In(image.Rectangle{Max: f.canvas}) || f.size != image.Pt(c.Width, c.Height) {
			return c, fmt.Errorf("a frame of %d×%d pixels lies at %v of a canvas of %v", c.Width, c.Height, at, f.canvas)
		}
		c.Width, c.Height = f.canvas.X, f.canvas.Y
	}
	return c, err
}

// decodeWebP returns the picture, or the first frame of an animation on its canvas.
func decodeWebP(data []byte) (image.Image, error) {
	f, err := parseWebP(data)
	if err != nil {
		return nil, err
	}
	img, err := webp.Decode(bytes.NewReader(f.still()))
	if err != nil {
		return nil, err
	}
	switch m := img.(type) {
	case *image.YCbCr:
		img = fromVP8(m, nil, 0)
	case *image.NYCbCrA:
		img = fromVP8(&m.YCbCr, m.A, m.AStride)
	}
	if !f.animated {
		return img, nil
	}
	return onCanvas(moved{img, f.at}, image.Rectangle{Max: f.canvas}, color.Transparent), nil
}

// moved is a picture that lies elsewhere.
type moved struct {
	image.Image
	by image.Point
}

func (m moved) Bounds() image.Rectangle { return m.Image.Bounds().Add(m.by) }
func (m moved) At(x, y int) color.Color { return m.Image.At(x-m.by.X, y-m.by.Y) }

// fromVP8 turns the planes of a VP8 frame into RGB as libwebp does: BT.601 with
// luma from 16 to 235 (RFC 6386, 9.2), where image.YCbCr takes it for that of
// JPEG, and chroma interpolated with weights 9, 3, 3 and 1.
func fromVP8(m *image.YCbCr, alpha []byte, alphaStride int) image.Image {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	columns, rows := (w+1)/2, (h+1)/2
	for y := range h {
		near, far := y/2, min(max(y/2-1+2*(y%2), 0), rows-1)
		for x := range w {
			side := min(max(x/2-1+2*(x%2), 0), columns-1)
			chroma := func(plane []byte) int {
				n, v := plane[near*m.CStride:], plane[far*m.CStride:]
				return (9*int(n[x/2]) + 3*int(n[side]) + 3*int(v[x/2]) + int(v[side]) + 8) >> 4
			}
			luma := int(m.Y[y*m.YStride+x]) * 19077 >> 8
			u, v := chroma(m.Cb), chroma(m.Cr)
			p := out.Pix[y*out.Stride+4*x:]
			p[0] = clip6(luma + v*26149>>8 - 14234)
			p[1] = clip6(luma - u*6419>>8 - v*13320>>8 + 8708)
			p[2] = clip6(luma + u*33050>>8 - 17685)
			p[3] = 255
			if alpha != nil {
				p[3] = alpha[y*alphaStride+x]
			}
		}
	}
	return out
}

// clip6 brings a number with six binary places to a byte.
func clip6(v int) byte { return byte(min(max(v>>6, 0), 255)) }

func webpMetadata(data []byte) (exif, xmp []byte) {
	f, _ := parseWebP(data) // was parsed before
	return f.exif, f.xmp
}

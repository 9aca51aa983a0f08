package data

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
)

// Colour types of a PNG header (W3C PNG 3, table 9).
const (
	pngGrey    = 0
	pngRGB     = 2
	pngPalette = 3
)

// pngHeader is the IHDR chunk.
type pngHeader struct {
	width, height   int
	depth, colour   byte
	interlaceMethod byte
}

// pngChunks calls visit with the chunks of a file, and whether their checksums are
// right, until it returns false. A chunk that is cut short is the last, with what
// there is of it.
func pngChunks(data []byte, visit func(kind string, body []byte, sound bool) bool) {
	for at := uint64(len(signature)); at+8 <= uint64(len(data)); {
		n := uint64(binary.BigEndian.Uint32(data[at:]))
		kind, body := string(data[at+4:at+8]), data[at+8:]
		body = body[:min(n, uint64(len(body)))]
		end := at + 8 + uint64(len(body))
		sound := end+4 <= uint64(len(data)) && crc32.ChecksumIEEE(data[at+4:end]) == binary.BigEndian.Uint32(data[end:])
		if !visit(kind, body, sound) || kind == "IEND" {
			return
		}
		at += 12 + n
	}
}

func parsePNGHeader(body []byte) (h pngHeader, err error) {
	if len(body) < 13 {
		return h, io.ErrUnexpectedEOF
	}
	w, ht := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
	return pngHeader{int(w), int(ht), body[8], body[9], body[12]}, nil
}

// model of the colours of a PNG without a palette.
func (h pngHeader) model() color.Model {
	switch deep := h.depth == 16; {
	case h.colour == pngGrey && deep:
		return color.Gray16Model
	case h.colour == pngGrey:
		return color.GrayModel
	case deep:
		return color.NRGBA64Model
	}
	return color.NRGBAModel
}

// pngConfig reads size and colours of a PNG whose pixels need not be there.
func pngConfig(data []byte) (c image.Config, err error) {
	var h pngHeader
	err = io.ErrUnexpectedEOF
	pngChunks(data, func(kind string, body []byte, sound bool) bool {
		switch kind {
		case "IHDR":
			h, err = parsePNGHeader(body)
			c = image.Config{ColorModel: h.model(), Width: h.width, Height: h.height}
			return err == nil && h.colour == pngPalette
		case "PLTE":
			var p color.Palette
			for ; len(body) >= 3; body = body[3:] {
				p = append(p, color.RGBA{body[0], body[1], body[2], 255})
			}
			c.ColorModel = p
			return false
		}
		return kind != "IDAT"
	})
	return c, err
}

// decodePNG also reads what libpng only warns of: too many pixels or palette
// entries, a tRNS chunk that does not fit, a damaged chunk that no pixel needs.
func decodePNG(data []byte) (image.Image, error) {
	img, err := png.Decode(bytes.NewReader(data))
	if err == nil {
		return img, nil
	}
	if what := png.UnsupportedError(""); errors.As(err, &what) {
		return nil, unsupported(string(what))
	}
	essence, again := pngEssence(data)
	if again != nil {
		return nil, err
	}
	if img, again = png.Decode(bytes.NewReader(essence)); again != nil {
		return nil, err
	}
	return img, nil
}

// pngEssence is a PNG without what its pixels do not need.
func pngEssence(data []byte) ([]byte, error) {
	var (
		h       pngHeader
		palette []byte
		holes   []byte
		packed  []byte
		err     error
		seen    bool
		ended   bool
	)
	pngChunks(data, func(kind string, body []byte, sound bool) bool {
		switch kind {
		case "IHDR":
			h, err = parsePNGHeader(body)
			seen = err == nil
		case "PLTE":
			palette = body[:min(len(body)/3, 1<<min(h.depth, 8))*3]
		case "tRNS":
			if sound {
				holes = body
			}
		case "IDAT":
			packed = append(packed, body...)
		case "IEND":
			ended = true
		default:
			return true
		}
		return err == nil && seen && (sound || kind == "tRNS")
	})
	if err != nil || !seen || !ended {
		return nil, io.ErrUnexpectedEOF
	}
	size, err := h.rawSize()
	if err != nil {
		return nil, err
	}
	pixels, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	var idat bytes.Buffer
	z := zlib.NewWriter(&idat)
	if _, err := io.CopyN(z, pixels, size); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	out := []byte(signature)
	out = appendChunk(out, "IHDR", binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(h.width)), uint32(h.height)),
		[]byte{h.depth, h.colour, 0, 0, h.interlaceMethod})
	if h.colour == pngPalette {
		out = appendChunk(out, "PLTE", palette)
	}
	switch { // what does not fit is left out
	case h.colour == pngGrey && len(holes) == 2, h.colour == pngRGB && len(holes) == 6,
		h.colour == pngPalette && len(holes) > 0 && len(holes) <= len(palette)/3:
		out = appendChunk(out, "tRNS", holes)
	}
	out = appendChunk(out, "IDAT", idat.Bytes())
	return appendChunk(out, "IEND"), nil
}

// rawSize is the bytes of a picture's rows behind the compression (W3C PNG 3,
// section 7.2), each with one byte for its filter.
func (h pngHeader) rawSize() (int64, error) {
	samples, ok := map[byte]int{pngGrey: 1, pngRGB: 3, pngPalette: 1, 4: 2, 6: 4}[h.colour]
	if !ok || h.depth > 16 || h.width < 1 || h.height < 1 || h.width > maxPixels/h.height {
		return 0, fmt.Errorf("a header of %d×%d pixels of %d bits and colour type %d", h.width, h.height, h.depth, h.colour)
	}
	rows := func(width, height int) int64 {
		if width == 0 || height == 0 {
			return 0
		}
		return int64(height) * int64(1+(width*samples*int(h.depth)+7)/8)
	}
	if h.interlaceMethod == 0 {
		return rows(h.width, h.height), nil
	}
	var size int64 // Adam7: the pixels of a pass begin at x, y and are dx, dy apart
	for _, p := range [7]struct{ x, y, dx, dy int }{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
		size += rows((h.width-p.x+p.dx-1)/p.dx, (h.height-p.y+p.dy-1)/p.dy)
	}
	return size, nil
}

// appendChunk appends a chunk whose body is in parts.
func appendChunk(out []byte, kind string, parts ...[]byte) []byte {
	body := append([]byte(kind), bytes.Join(parts, nil)...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)-4))
	out = append(out, body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
}

// pngMetadata finds the eXIf chunk, and XMP in an iTXt chunk.
func pngMetadata(data []byte) (exif, xmp []byte) {
	pngChunks(data, func(kind string, body []byte, sound bool) bool {
		switch kind {
		case "eXIf":
			exif = body
		case "iTXt":
			if rest, ok := bytes.CutPrefix(body, []byte("XML:com.adobe.xmp\x00")); ok {
				xmp = rest
			}
		}
		return true
	})
	return exif, xmp
}

package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// WritePNG writes one image, HWC with 1 or 3 channels, and texts about it, whole or not at all.
func WritePNG(path string, pixels []byte, height, width, channels int, text map[string]string) error {
	return writeImage(path, picture(pixels, height, width, channels), text)
}

// gridGap is the pixels between the images of a grid.
const gridGap = 2

// WriteGrid writes n images, NHWC, in rows of this many columns.
func WriteGrid(path string, pixels []byte, n, height, width, channels, columns int) error {
	columns = min(columns, n)
	rows := (n + columns - 1) / columns
	h, w := rows*(height+gridGap)+gridGap, columns*(width+gridGap)+gridGap
	canvas := bytes.Repeat([]byte{255}, h*w*channels)
	for i := range n {
		top, left := i/columns*(height+gridGap)+gridGap, i%columns*(width+gridGap)+gridGap
		for y := range height {
			copy(canvas[((top+y)*w+left)*channels:], pixels[((i*height+y)*width)*channels:][:width*channels])
		}
	}
	return writeImage(path, picture(canvas, h, w, channels), nil)
}

func writeImage(path string, img image.Image, text map[string]string) error {
	var buffer bytes.Buffer
	if err := png.Encode(&buffer, img); err != nil {
		return fmt.Errorf("%s cannot be encoded: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".incomplete-*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	_, err = f.Write(withText(buffer.Bytes(), text))
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return nil
}

// headerEnd is where a PNG's first chunk ends: signature and IHDR.
const headerEnd = 8 + 4 + 4 + 13 + 4

// withText inserts tEXt chunks, sorted by key, behind a PNG's header.
func withText(file []byte, text map[string]string) []byte {
	out := slices.Clone(file[:headerEnd])
	for _, key := range slices.Sorted(maps.Keys(text)) {
		body := []byte("tEXt" + key + "\x00" + text[key])
		out = binary.BigEndian.AppendUint32(out, uint32(len(body)-4))
		out = append(out, body...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
	}
	return append(out, file[headerEnd:]...)
}

// ReadText returns the texts of a PNG.
func ReadText(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	defer f.Close()
	text := map[string]string{}
	if _, err := f.Seek(8, io.SeekStart); err != nil {
		return nil, &Error{Path: path, Problem: "cannot be read", Err: err}
	}
	for {
		var head [8]byte
		if _, err := io.ReadFull(f, head[:]); err != nil {
			return nil, &Error{Path: path, Problem: "is not a whole PNG", Err: err}
		}
		n, kind := binary.BigEndian.Uint32(head[:]), string(head[4:])
		if kind == "IEND" {
			return text, nil
		}
		if kind != "tEXt" {
			if _, err := f.Seek(int64(n)+4, io.SeekCurrent); err != nil {
				return nil, &Error{Path: path, Problem: "is not a whole PNG", Err: err}
			}
			continue
		}
		if n > 1<<20 {
			return nil, &Error{Path: path, Problem: fmt.Sprintf("announces a text of %d bytes", n)}
		}
		body := make([]byte, n+4)
		if _, err := io.ReadFull(f, body); err != nil {
			return nil, &Error{Path: path, Problem: "is not a whole PNG", Err: err}
		}
		if key, value, ok := strings.Cut(string(body[:n]), "\x00"); ok {
			text[key] = value
		}
	}
}

// ReadPNG returns a picture of 8-bit grey or RGB as bytes.
func ReadPNG(path string) (pixels []byte, height, width, channels int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, 0, 0, &Error{Path: path, Problem: "cannot be opened", Err: err}
	}
	defer f.Close()
	img, err := decode(path, f)
	if err != nil {
		return nil, 0, 0, 0, err
	}
	s := shape{img.Bounds().Dy(), img.Bounds().Dx(), channelsOf(img)}
	pixels = make([]byte, s.size())
	convert(img, s, false, pixels)
	return pixels, s.height, s.width, s.channels, nil
}

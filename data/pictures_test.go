package data

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPicturesOfOthers: files as other tools write them are what Pillow reads in
// them (scripts/pictures.py), upright and on white: orientations in Exif and XMP,
// CMYK, frames of animations on their canvas, run lengths, endings that lie.
func TestPicturesOfOthers(t *testing.T) {
	wants, err := filepath.Glob("testdata/pictures/want/*.png")
	if err != nil || len(wants) < 40 {
		t.Fatalf("%d pictures, %v", len(wants), err)
	}
	for _, want := range wants {
		name := strings.TrimSuffix(filepath.Base(want), ".png")
		t.Run(name, func(t *testing.T) {
			tolerance := 0
			switch {
			case filepath.Ext(name) == ".jpg":
				tolerance = 2 // decoders may round their cosine transforms differently
			case strings.Contains(name, "-alpha."):
				tolerance = 1 // and what shines through
			}
			pixels, height, width, channels, err := ReadPNG(filepath.Join("testdata/pictures", name))
			if err != nil {
				t.Fatal(err)
			}
			img := readWant(t, want)
			if b := img.Bounds(); width != b.Dx() || height != b.Dy() {
				t.Fatalf("%d×%d pixels, Pillow has %d×%d", width, height, b.Dx(), b.Dy())
			}
			worst := 0
			for i := range width * height {
				r, g, b, _ := img.At(i%width, i/width).RGBA()
				for k, c := range [3]uint32{r, g, b} {
					d := int(pixels[i*channels+k%channels]) - int(c>>8)
					worst = max(worst, d, -d)
				}
			}
			if worst > tolerance {
				t.Errorf("differs from Pillow by %d of 255, want at most %d", worst, tolerance)
			}
		})
	}
}

func readWant(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestUnsupported: sound pictures that are not read are not called damaged, and
// the message names what they need and the way out.
func TestUnsupported(t *testing.T) {
	jpg := encoded(t, "jpg", 16, 16, color.RGBA{200, 30, 40, 255})
	frame := bytes.Index(jpg, []byte{0xff, 0xc0})
	change := func(at int, bytes ...byte) []byte {
		b := slices.Clone(jpg)
		copy(b[frame+at:], bytes)
		return b
	}
	bmp, err := os.ReadFile("testdata/pictures/565.bmp")
	if err != nil {
		t.Fatal(err)
	}
	bmp[30] = 4 // biCompression
	for want, file := range map[string][]byte{
		"is a JPEG of a kind that is not read (arithmetic coding)":               change(1, 0xc9),
		"is a JPEG of a kind that is not read (lossless coding)":                 change(1, 0xc3),
		"is a JPEG of a kind that is not read (hierarchical coding)":             change(1, 0xc5),
		"is a JPEG of a kind that is not read (12 bits a sample)":                change(4, 12),
		"is a JPEG of a kind that is not read (subsampling 3×1, 1×1, 1×1)":       change(11, 0x31),
		"is a JPEG of a kind that is not read (subsampling 1×1, 2×2, 1×1)":       change(11, 0x11, 0, 2, 0x22),
		"is a BMP of a kind that is not read (compression 4 of 16 bits a pixel)": bmp,
		"is a picture in HEIC, a format that is not read":                        []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"),
		"is a picture in AVIF, a format that is not read":                        []byte("\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif"),
		"is a picture in JPEG XL, a format that is not read":                     []byte("\xff\x0a\x7a\x48"),
	} {
		_, err := decode("a.jpg", bytes.NewReader(file))
		for _, want := range []string{"a.jpg: " + want, "convert it to PNG"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		}
	}
}

// TestDamaged: what is cut short or changed is damaged, in every format.
func TestDamaged(t *testing.T) {
	for _, name := range []string{"exif-1-II.jpg", "extra-pixels.png", "grey.png", "long-palette.png", "lossy.webp", "lossless-alpha.webp", "animated.webp", "rle8.bmp", "565.bmp", "lzw.tif", "offset.gif"} {
		whole, err := os.ReadFile(filepath.Join("testdata/pictures", name))
		if err != nil {
			t.Fatal(err)
		}
		half := whole[:len(whole)/2]
		if name == "animated.webp" {
			half = whole[:len(whole)/4] // in the first frame
		}
		if _, err := decode(name, bytes.NewReader(half)); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("half of %s: %v", name, err)
		}
	}
	whole, err := os.ReadFile("testdata/pictures/extra-pixels.png")
	if err != nil {
		t.Fatal(err)
	}
	whole[len(whole)-20] ^= 1 // the checksum of the pixels
	if _, err := decode("a.png", bytes.NewReader(whole)); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("pixels with a wrong checksum: %v", err)
	}
}

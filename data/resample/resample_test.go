package resample

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/image/draw"
)

// pictures are noise, with and without alpha, in every kind that decoders give, larger than what
// is drawn of them.
func pictures(r *rand.Rand, width, height int) map[string]image.Image {
	at := image.Rect(-3, 5, width+4, height+9)
	noise := func(pixels []byte) {
		for i := range pixels {
			pixels[i] = byte(r.IntN(256))
			if r.IntN(4) == 0 {
				pixels[i] = byte(255 * r.IntN(2))
			}
		}
	}
	opaque := func(pixels []byte) {
		for i := 3; i < len(pixels); i += 4 {
			pixels[i] = 255
		}
	}
	grey, paletted, deep := image.NewGray(at), image.NewPaletted(at, palette.Plan9), image.NewNRGBA64(at)
	noise(grey.Pix)
	noise(paletted.Pix)
	noise(deep.Pix)
	all := map[string]image.Image{"grey": grey, "paletted": paletted, "16 bits": deep, "hidden": hidden{grey}}
	for _, name := range []string{"RGBA", "RGBA, opaque"} {
		img := image.NewRGBA(at)
		noise(img.Pix)
		opaque(img.Pix)
		if name == "RGBA" {
			for i := 0; i < len(img.Pix); i += 4 {
				a := r.IntN(256)
				img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = byte(r.IntN(a+1)), byte(r.IntN(a+1)), byte(a), byte(a)
			}
		}
		all[name] = img
	}
	for _, name := range []string{"NRGBA", "NRGBA, opaque"} {
		img := image.NewNRGBA(at)
		noise(img.Pix)
		if name != "NRGBA" {
			opaque(img.Pix)
		}
		all[name] = img
	}
	for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410} {
		img := image.NewYCbCr(image.Rect(2, 5, width+9, height+9), ratio)
		noise(img.Y)
		noise(img.Cb)
		noise(img.Cr)
		all[ratio.String()] = img
	}
	return all
}

// hidden is a picture of which nothing but the interface is seen.
type hidden struct{ of image.Image }

func (h hidden) ColorModel() color.Model { return h.of.ColorModel() }
func (h hidden) Bounds() image.Rectangle { return h.of.Bounds() }
func (h hidden) At(x, y int) color.Color { return h.of.At(x, y) }

// TestScale: pictures have the bits that draw.CatmullRom gives them, whatever they are, and what
// is beside them on the canvas stays.
func TestScale(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][4]int{{1, 1, 1, 1}, {1, 1, 5, 3}, {2, 3, 7, 8}, {9, 7, 9, 7}, {16, 16, 8, 8}, {17, 31, 8, 9}, {64, 40, 5, 64}, {33, 90, 33, 1}, {100, 75, 24, 18}, {61, 61, 60, 62}, {7, 300, 4, 3}} {
		for name, src := range pictures(r, size[0], size[1]) {
			b := src.Bounds()
			for _, off := range []image.Point{{}, {1, 1}, {2, 1}} {
				sr := image.Rect(0, 0, size[0], size[1]).Add(b.Min).Add(off)
				if !sr.In(b) {
					t.Fatal(sr, b)
				}
				want, got := image.NewRGBA(image.Rect(-2, 1, size[2]+3, size[3]+4)), image.NewRGBA(image.Rect(-2, 1, size[2]+3, size[3]+4))
				for i := range want.Pix {
					want.Pix[i] = byte(r.IntN(256))
				}
				copy(got.Pix, want.Pix)
				dr := image.Rect(0, 0, size[2], size[3]).Add(image.Pt(1, 2))
				draw.CatmullRom.Scale(want, dr, src, sr, draw.Over, nil)
				Scale(got, dr, src, sr)
				if !bytes.Equal(got.Pix, want.Pix) {
					t.Errorf("%s of %v to %v: other bits", name, sr, dr)
				}
			}
		}
	}
}

// TestCombine: sums are those of the portable way, and nothing beside them is written.
func TestCombine(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 8, 16, 24, 32, 48, 56, 192} {
		for _, k := range []int{0, 1, 2, 7, 64} {
			for _, stride := range []int{0, n, n + 3} {
				in, w := make([]float64, k*stride+n), make([]float64, k)
				for i := range in {
					in[i] = r.NormFloat64()
				}
				for i := range w {
					w[i] = r.NormFloat64()
				}
				want, got := make([]float64, n+2), make([]float64, n+2)
				want[0], got[0], want[n+1], got[n+1] = 7, 7, 7, 7
				combineGo(want[1:1+n], in, stride, w)
				combine(got[1:1+n], in, stride, w)
				if !slices.Equal(got, want) {
					t.Errorf("%d lanes of %d values, a stride of %d: other bits", n, k, stride)
				}
			}
		}
	}
}

// TestScaleElsewhere: what is left to the other is drawn, too.
func TestScaleElsewhere(t *testing.T) {
	src := pictures(rand.New(rand.NewPCG(1, 2)), 9, 9)["RGBA"]
	for _, sr := range []image.Rectangle{image.Rect(0, 6, 9, 12), image.Rect(-9, 6, 9, 12), {}} {
		want, got := image.NewRGBA64(image.Rect(0, 0, 4, 4)), image.NewRGBA64(image.Rect(0, 0, 4, 4))
		draw.CatmullRom.Scale(want, want.Rect, src, sr, draw.Over, nil)
		Scale(got, got.Rect, src, sr)
		small, wants := image.NewRGBA(want.Rect), image.NewRGBA(want.Rect)
		draw.CatmullRom.Scale(wants, image.Rect(-1, 0, 5, 5), src, sr, draw.Over, nil)
		Scale(small, image.Rect(-1, 0, 5, 5), src, sr)
		if !bytes.Equal(got.Pix, want.Pix) || !bytes.Equal(small.Pix, wants.Pix) {
			t.Errorf("%v: other bits", sr)
		}
	}
}

// BenchmarkScale is a picture brought to 64 × 64, here and by the library in turn: the least time
// of each, which other programs of the machine disturb least, and how many times the one is in the other.
func BenchmarkScale(b *testing.B) {
	for _, side := range []int{256, 1024} {
		for _, name := range []string{"RGBA, opaque", "NRGBA", "grey", "YCbCrSubsampleRatio420"} {
			src := pictures(rand.New(rand.NewPCG(1, 2)), side, side)[name]
			sr := image.Rect(0, 0, side, side).Add(src.Bounds().Min)
			dst := image.NewRGBA(image.Rect(0, 0, 64, 64))
			b.Run(fmt.Sprintf("%s-%d", name, side), func(b *testing.B) {
				here, library := time.Hour, time.Hour
				for b.Loop() {
					start := time.Now()
					Scale(dst, dst.Rect, src, sr)
					here = min(here, time.Since(start))
					start = time.Now()
					draw.CatmullRom.Scale(dst, dst.Rect, src, sr, draw.Over, nil)
					library = min(library, time.Since(start))
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(here.Seconds()*1e3, "ms")
				b.ReportMetric(library.Seconds()*1e3, "ms-library")
				b.ReportMetric(library.Seconds()/here.Seconds(), "times")
			})
		}
	}
}

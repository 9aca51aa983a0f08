package data

import (
	"encoding/json"
	"image"
	"image/color"
	"slices"
	"testing"
)

// TestSize: a size is a side or HEIGHTxWIDTH, in texts and in files, and squares are numbers
// in these, as they always were.
func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0": {}, "64": {64, 64}, "48x32": {48, 32}, "48×32": {48, 32}, " 8 X 9 ": {8, 9}, "32x32": {32, 32}} {
		var s, again, file Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q is %v, %v", text, s, err)
		}
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%v is written as %q", s, s.String())
		}
		written, err := json.Marshal(s)
		if err == nil {
			err = json.Unmarshal(written, &file)
		}
		if square := want.Height == want.Width; err != nil || file != s || square != (written[0] != '"') {
			t.Errorf("%v is %s in a file, %v", s, written, err)
		}
	}
	for _, text := range []string{"", "x", "8x", "x8", "0x8", "-8x8", "8x8x8", "8,9", "8.5", "8 by 9", "99999999999999999999x1"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a size", text)
		}
	}
	for _, s := range []Size{{-1, -1}, {8, 0}, {0, 8}, {MaxSide + 1, 8}, {8, MaxSide + 1}} {
		if s.check() == nil {
			t.Errorf("%v is a size of images", s)
		}
	}
}

// TestRectangles: what is cut out, and what bars are left, are those of Pillow's ImageOps.fit
// and ImageOps.contain, to a pixel's half.
func TestRectangles(t *testing.T) {
	for _, c := range []struct {
		width, height int
		to            Size
		box           [4]float64 // that fit cuts out
		inside        [2]int     // width and height of contain
	}{
		{20, 8, Size{8, 12}, [4]float64{4, 0, 16, 8}, [2]int{12, 5}},
		{8, 20, Size{8, 12}, [4]float64{0, 7.333333, 8, 12.666667}, [2]int{3, 8}},
		{640, 480, Size{32, 48}, [4]float64{0, 26.666667, 640, 453.333333}, [2]int{43, 32}},
		{480, 640, Size{32, 48}, [4]float64{0, 160, 480, 480}, [2]int{24, 32}},
		{640, 480, Size{48, 32}, [4]float64{160, 0, 480, 480}, [2]int{32, 24}},
		{100, 100, Size{32, 48}, [4]float64{0, 16.666667, 100, 83.333333}, [2]int{32, 32}},
		{100, 37, Size{16, 16}, [4]float64{31.5, 0, 68.5, 37}, [2]int{16, 6}},
		{33, 100, Size{16, 64}, [4]float64{0, 45.875, 33, 54.125}, [2]int{5, 16}},
	} {
		r := Crop.window(c.width, c.height, c.to, 0)
		for i, x := range []int{r.Min.X, r.Min.Y, r.Max.X, r.Max.Y} {
			if off := float64(x) - c.box[i]; off > 1 || off < -1 {
				t.Errorf("%d×%d to %v: %v is cut out, Pillow has %v", c.width, c.height, c.to, r, c.box)
			}
		}
		if n := RandomCrop.window(c.width, c.height, c.to, 12345); n.Size() != r.Size() || !n.In(image.Rect(0, 0, c.width, c.height)) {
			t.Errorf("%d×%d to %v: %v is cut out at random", c.width, c.height, c.to, n)
		}
		black := image.NewRGBA(image.Rect(0, 0, c.width, c.height))
		for p := 3; p < len(black.Pix); p += 4 {
			black.Pix[p] = 255
		}
		grey := make([]byte, c.to.Height*c.to.Width)
		convert(photo{black, upright, 0}, shape{c.to.Height, c.to.Width, 1}, Pad, grey)
		var seen image.Rectangle
		for i, g := range grey {
			if g == 0 {
				x, y := i%c.to.Width, i/c.to.Width
				seen = seen.Union(image.Rect(x, y, x+1, y+1))
			}
		}
		if got := [2]int{seen.Dx(), seen.Dy()}; got != c.inside {
			t.Errorf("%d×%d in %v: %v are seen, Pillow has %v", c.width, c.height, c.to, got, c.inside)
		}
	}
}

// TestRectanglesTurned: a picture that is stored turned is brought to the same rectangle.
func TestRectanglesTurned(t *testing.T) {
	const width, height = 20, 12
	up := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			up.SetRGBA(x, y, color.RGBA{byte(12 * x), byte(20 * y), byte(x * y), 255})
		}
	}
	for _, fit := range []Fit{Crop, Pad, Stretch} {
		s := shape{9, 5, 3} // with equal bars
		want := make([]byte, s.size())
		convert(photo{up, upright, 0}, s, fit, want)
		for o := upright; o <= turnedLeft; o++ {
			w, h := o.size(width, height)
			stored := image.NewRGBA(image.Rect(0, 0, w, h))
			for y := range height {
				for x := range width {
					sx, sy := o.stored(x, y, w, h)
					stored.SetRGBA(sx, sy, up.RGBAAt(x, y))
				}
			}
			got := make([]byte, s.size())
			convert(photo{stored, o, 0}, s, fit, got)
			for i := range got { // sums of the resampling go another way round
				if d := int(got[i]) - int(want[i]); d > 1 || d < -1 {
					t.Fatalf("%s, orientation %d: value %d is %d, upright %d", fit, o, i, got[i], want[i])
				}
			}
			if o == upright && !slices.Equal(got, want) {
				t.Error("upright is another")
			}
		}
	}
}

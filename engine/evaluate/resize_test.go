package evaluate

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"fluxion/nets/feature"
)

// TestFilters: rows by the libraries themselves.
func TestFilters(t *testing.T) {
	for _, c := range []struct {
		name string
		f    filter
		from []byte
		want []float64
	}{
		{"TensorFlow 1", tensorFlow1, []byte{0, 100, 200}, []float64{0, 42.857, 85.714, 128.571, 171.429, 200, 200}},
		{"PyTorch", torchBilinear, []byte{0, 100, 200}, []float64{0, 14.286, 57.143, 100, 142.857, 185.714, 200}},
		{"Pillow", pillowBicubic, []byte{0, 100, 200, 50}, []float64{-6.5789, 41.1765, 119.5602, 197.8009, 126.4706, 40.1316}},
		{"Pillow, smaller", pillowBicubic, []byte{0, 100, 200, 50}, []float64{67.9752, 126.6529}},
	} {
		// The row is that of an image of as many equal rows, or columns.
		n, m := len(c.from), len(c.want)
		across, along := make([]byte, n*n), make([]byte, n*n)
		for i := range n * n {
			across[i], along[i] = c.from[i%n], c.from[i/n]
		}
		r := newResizer(c.f, n, n, 1, m)
		to := make([]float32, m*m)
		for i, from := range [][]byte{across, along} {
			r.resize(to, from, false)
			for k := range m * m {
				want := c.want[k%m]
				if i == 1 {
					want = c.want[k/m]
				}
				if math.Abs(float64(to[k])-want) > 6e-4 {
					t.Errorf("%s: pixel %d is %g, want %g", c.name, k, to[k], want)
				}
			}
		}
	}
}

// TestWholeGreys: Pillow's Image.resize of bytes, BICUBIC, larger and smaller.
func TestWholeGreys(t *testing.T) {
	n := 7
	from := make([]byte, n*n)
	for i := range from {
		from[i] = byte(i * i * 37)
	}
	for side, want := range map[int][]float32{
		11: {0, 8, 43, 127, 129, 74, 67, 98, 153, 96, 41, 4, 15, 54, 149, 153, 89, 82, 119, 186, 124, 62, 22, 38, 77, 152, 163, 123, 122, 150, 199, 155, 111, 60, 86, 107, 41, 79, 189, 214, 171, 76, 138, 203, 125, 157, 173, 56, 58, 152, 183, 157, 83, 134, 187, 185, 219, 239, 151, 89, 64, 69, 110, 178, 134, 87, 122, 158, 178, 67, 82, 172, 58, 28, 132, 76, 15, 46, 83, 119, 63, 119, 230, 108, 40, 84, 81, 70, 2, 32, 94, 185, 209, 184, 203, 167, 67, 161, 251, 149, 103, 72, 190, 217, 173, 216, 190, 73, 85, 119, 255, 169, 61, 170, 205, 173, 208, 184, 81, 11, 0},
		4:  {24, 123, 119, 125, 129, 104, 149, 140, 125, 127, 102, 96, 104, 179, 179, 88},
	} {
		to := make([]float32, side*side)
		newResizer(pillowBytes, n, n, 1, side).resize(to, from, true)
		if !slices.Equal(to, want) {
			t.Errorf("%d×%d is %v, want %v", side, side, to, want)
		}
	}
}

// TestPrepare: ranges, grey images, and the overshoot of the cubic.
func TestPrepare(t *testing.T) {
	all := func(low, high float64) [3][2]float64 { return [3][2]float64{{low, high}, {low, high}, {low, high}} }
	of := func(mean, deviation float64) [2]float64 { return [2]float64{-mean / deviation, (1 - mean) / deviation} }
	for name, want := range map[string][3][2]float64{
		"legacy-tf": all(-1, 127./128), "pytorch": all(-1, 1), "clean": all(-1, 127./128),
		"dgm": {of(0.485, 0.229), of(0.456, 0.224), of(0.406, 0.225)},
	} {
		c, err := FindConvention(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, channels := range []int{1, 3} {
			from := make([]byte, 2*3*channels)
			for i := range from[:len(from)/2] {
				from[i] = 255
			}
			to := make([]float32, 3*7*7)
			c.prepare(to, from, newResizer(c.filter, 2, 3, channels, 7))
			for k := range 3 {
				low, high := float64(to[3*7*7-3+k]), float64(to[k])
				if math.Abs(low-want[k][0]) > 1e-6 || math.Abs(high-want[k][1]) > 1e-6 {
					t.Errorf("%s of %d channels: %g at the top, %g at the bottom, want %v", name, channels, high, low, want[k])
				}
			}
		}
	}
	if _, err := FindConvention("cleen"); err == nil {
		t.Error("cleen is a convention")
	}
}

// TestConventionOf: DINOv2's images are brought to it in one way, which is no other's.
func TestConventionOf(t *testing.T) {
	for _, n := range feature.Networks {
		own := n.Convention
		c, err := ConventionOf(n, "")
		if err != nil || c.Name != cmp.Or(own, DefaultConvention) {
			t.Errorf("%s by itself: %s, %v", n.Name, c.Name, err)
		}
		for _, name := range []string{"legacy-tf", "pytorch", "clean", "dgm"} {
			if _, err := ConventionOf(n, name); (err == nil) != (own == name || own == "" && name != "dgm") {
				t.Errorf("%s and %s: %v", n.Name, name, err)
			}
		}
	}
}

package evaluate

import (
	"math"
	"testing"
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
			r.resize(to, from)
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

// TestPrepare: ranges, grey images, and the overshoot of the cubic.
func TestPrepare(t *testing.T) {
	for name, want := range map[string][2]float32{"legacy-tf": {-1, 127. / 128}, "pytorch": {-1, 1}, "clean": {-1, 127. / 128}} {
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
				if to[k] != want[1] || to[3*7*7-3+k] != want[0] {
					t.Errorf("%s of %d channels: %g at the top, %g at the bottom, want %v", name, channels, to[k], to[3*7*7-3+k], want)
				}
			}
		}
	}
	if _, err := FindConvention("cleen"); err == nil {
		t.Error("cleen is a convention")
	}
}

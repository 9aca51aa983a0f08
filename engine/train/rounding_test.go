package train

import (
	"math"
	"testing"

	"fluxion/data"
	"fluxion/kernels/update"
)

// TestRounding: numbers that become pictures are rounded as samples are, to the bit.
func TestRounding(t *testing.T) {
	var values []float32
	for b := range 256 {
		edge := float32(b)/127.5 - 1 - 1./255 // between two bytes
		for k, x := 0, math.Nextafter32(math.Nextafter32(edge, -2), -2); k < 5; k, x = k+1, math.Nextafter32(x, 2) {
			values = append(values, x)
		}
	}
	values = append(values, -2, -1, 0, 1, 2)
	got := make([]byte, len(values))
	data.Pixels{Floats: values}.Picture(got)
	for i, x := range values {
		if want := update.Pixel(x); got[i] != want {
			t.Errorf("%v is %d, sampled %d", x, got[i], want)
		}
	}
}

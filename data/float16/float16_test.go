package float16

import (
	"math"
	"testing"
)

// TestFloat32: every finite number by its definition, and the ends by hand.
func TestFloat32(t *testing.T) {
	for h := range 1 << 16 {
		sign, exponent, fraction := 1-2*float64(h>>15), h>>10&31, float64(h&1023)
		want := sign * math.Ldexp(1+fraction/1024, exponent-15)
		switch exponent {
		case 0:
			want = sign * math.Ldexp(fraction/1024, -14)
		case 31:
			if want = sign * math.Inf(1); fraction != 0 {
				want = math.NaN()
			}
		}
		got := float64(Float32(uint16(h)))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != math.Signbit(want) && !math.IsNaN(want) {
			t.Fatalf("%#04x is %v, want %v", h, got, want)
		}
	}
	if Float32(0x3c00) != 1 || Float32(0x7bff) != 65504 {
		t.Error("1 or the largest")
	}
}

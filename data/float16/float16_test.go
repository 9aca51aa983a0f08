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

// TestNarrow: every number comes back; between two the nearer one does, the even one where
// both are as near; beyond the largest, infinity does.
func TestNarrow(t *testing.T) {
	const largest = 0x7bff
	for h := range uint16(largest + 1) {
		x := Float32(h)
		if Narrow(x) != h || Narrow(-x) != h|0x8000 {
			t.Fatalf("%#04x is %v, which is narrowed to %#04x and, below 0, %#04x", h, x, Narrow(x), Narrow(-x))
		}
		if h == largest {
			break
		}
		middle := (x + Float32(h+1)) / 2 // exact in float32
		for x, want := range map[float32]uint16{math.Nextafter32(middle, 0): h, middle: h + h&1, math.Nextafter32(middle, 1e9): h + 1} {
			if got := Narrow(x); got != want {
				t.Fatalf("%v is narrowed to %#04x, want %#04x", x, got, want)
			}
		}
	}
	for x, want := range map[float32]uint16{math.Nextafter32(Infinite, 0): largest, Infinite: 0x7c00, 3e38: 0x7c00, float32(math.Inf(-1)): 0xfc00, 1e-30: 0} {
		if got := Narrow(x); got != want {
			t.Errorf("%v is narrowed to %#04x, want %#04x", x, got, want)
		}
	}
	if x := Float32(Narrow(float32(math.NaN()))); x == x {
		t.Errorf("NaN is narrowed to %v", x)
	}
}

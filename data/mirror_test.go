package data

import (
	"slices"
	"testing"
)

// TestMirror: pixels of a row are in the other order, and channels of a pixel as before.
func TestMirror(t *testing.T) {
	for _, c := range []int{1, 2, 3, 4} {
		for _, w := range []int{1, 2, 5, 8} {
			pixels := make([]float32, 3*w*c)
			want := make([]float32, len(pixels))
			for i := range pixels {
				pixels[i] = float32(i)
				row, x, k := i/(w*c), i/c%w, i%c
				want[(row*w+w-1-x)*c+k] = float32(i)
			}
			if mirror(pixels, w, c); !slices.Equal(pixels, want) {
				t.Errorf("%d channels, %d pixels: %v, want %v", c, w, pixels, want)
			}
		}
	}
}

// BenchmarkMirror is a picture of 32 × 32 in colour.
func BenchmarkMirror(b *testing.B) {
	pixels := make([]byte, 32*32*3)
	b.SetBytes(int64(len(pixels)))
	for b.Loop() {
		mirror(pixels, 32, 3)
	}
}

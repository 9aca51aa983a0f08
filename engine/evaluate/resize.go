package evaluate

import "math"

// taps are the pixels of a row that one pixel of the resized row is made of.
type taps struct {
	first   int
	weights []float64
}

// filter says of which pixels of a row of n the pixels of a row of m are made.
type filter func(n, m int) []taps

// tensorFlow1 is the bilinear filter of TensorFlow 1: no half pixels, no antialiasing.
func tensorFlow1(n, m int) []taps {
	return bilinear(n, m, func(i int) float64 { return float64(i) * float64(n) / float64(m) })
}

// torchBilinear is PyTorch's: pixels have centres; no antialiasing.
func torchBilinear(n, m int) []taps {
	return bilinear(n, m, func(i int) float64 { return max(0, (float64(i)+0.5)*float64(n)/float64(m)-0.5) })
}

func bilinear(n, m int, source func(i int) float64) []taps {
	to := make([]taps, m)
	for i := range to {
		at := source(i)
		low := min(int(at), n-1)
		part := at - float64(low)
		if low == n-1 {
			to[i] = taps{low, []float64{1}}
			continue
		}
		to[i] = taps{low, []float64{1 - part, part}}
	}
	return to
}

// pillowBicubic is Pillow's: Keys' cubic with a = −½, as wide as the new pixels where
// the image becomes smaller.
func pillowBicubic(n, m int) []taps {
	cubic := func(x float64) float64 {
		const a = -0.5
		switch x = math.Abs(x); {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
		return 0
	}
	scale := float64(n) / float64(m)
	wide := max(scale, 1)
	to := make([]taps, m)
	for i := range to {
		centre := (float64(i) + 0.5) * scale
		first, end := max(0, int(centre-2*wide+0.5)), min(n, int(centre+2*wide+0.5))
		w := make([]float64, end-first)
		sum := 0.0
		for k := range w {
			w[k] = cubic((float64(first+k) - centre + 0.5) / wide)
			sum += w[k]
		}
		for k := range w {
			w[k] /= sum
		}
		to[i] = taps{first, w}
	}
	return to
}

// pillowBytes is Pillow's of images of bytes, where weights are multiples of 2^−22.
func pillowBytes(n, m int) []taps {
	to := pillowBicubic(n, m)
	for _, t := range to {
		for k, w := range t.weights {
			t.weights[k] = math.Round(w*(1<<22)) / (1 << 22)
		}
	}
	return to
}

// whole is the nearest whole grey from 0 to 255.
func whole(v float64) float64 { return min(max(math.Floor(v+0.5), 0), 255) }

// resizer makes images of one size of images of another, both in NHWC's order.
type resizer struct {
	h, w, c      int
	side         int
	across, down []taps
	rows         []float32 // the image resized across alone
}

func newResizer(f filter, h, w, c, side int) *resizer {
	return &resizer{h, w, c, side, f(w, side), f(h, side), make([]float32, h*side*c)}
}

// resize makes one image; of whole greys, rows as well as columns.
func (r *resizer) resize(to []float32, from []byte, bytes bool) {
	rounded := func(v float64) float32 {
		if bytes {
			v = whole(v)
		}
		return float32(v)
	}
	for y := range r.h {
		for x, t := range r.across {
			for c := range r.c {
				sum := 0.0
				for k, w := range t.weights {
					sum += w * float64(from[(y*r.w+t.first+k)*r.c+c])
				}
				r.rows[(y*r.side+x)*r.c+c] = rounded(sum)
			}
		}
	}
	line := r.side * r.c
	for y, t := range r.down {
		for x := range line {
			sum := 0.0
			for k, w := range t.weights {
				sum += w * float64(r.rows[(t.first+k)*line+x])
			}
			to[y*line+x] = rounded(sum)
		}
	}
}

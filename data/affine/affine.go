// Package affine moves the pixels of square images: mirrors, quarter turns and shifts by
// whole pixels exactly, anything else through a band-limited grid of twice the pixels, as
// Karras et al. do it ("Training Generative Adversarial Networks with Limited Data",
// arXiv 2006.06676, appendix B). Images go on beyond their borders as mirror images.
package affine

import (
	"fmt"
	"math"
)

// Transform is what becomes of an image, in this order.
type Transform struct {
	FlipX, FlipY   bool
	Turns          int // quarter turns, anticlockwise
	ShiftX, ShiftY int // pixels to the right, and down
	// Warp, if the image is Warped, says where a pixel of the result comes from: with x to the
	// right and y down from the middle of the image, in pixels, from Warp[0]x + Warp[1]y + Warp[2]
	// and Warp[3]x + Warp[4]y + Warp[5].
	Warped bool
	Warp   [6]float64
}

// taps of the wavelet sym6 (Daubechies), whose sum is √2: even shifts of it are orthonormal.
var taps = [12]float64{
	0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466, 0.787641141030194,
	0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148,
}

// before is how many taps of pixel j of an image are before fine pixel 2j. The wavelet is
// not even: what it makes of a pixel stands, on average, offset behind it.
const before = 5

var offset = func() (at float64) {
	for i, h := range taps {
		at += float64(i) * h / math.Sqrt2
	}
	return at - before
}()

// Images applies transforms to images of a size. It is for one goroutine.
type Images struct {
	side, channels             int
	exact, rows, fine, out, to []float32
}

// NewImages returns what transforms images of side×side pixels.
func NewImages(side, channels int) (*Images, error) {
	if side < 2 || channels < 1 {
		return nil, fmt.Errorf("images of %d×%d pixels have nothing to transform, want 2×2 or more", side, side)
	}
	a := &Images{side: side, channels: channels}
	fine, out := a.fineSide(), a.outSide()
	a.exact = make([]float32, side*side*channels)
	a.rows, a.fine = make([]float32, side*fine*channels), make([]float32, fine*fine*channels)
	a.out, a.to = make([]float32, out*out*channels), make([]float32, out*side*channels)
	return a, nil
}

// fineSide is a period of the fine grid of an image that is mirrored without end.
func (a *Images) fineSide() int { return 2 * (2*a.side - 2) }

// outSide is the fine pixels that those of the result are made of.
func (a *Images) outSide() int { return 2*a.side + len(taps) - 2 }

// Apply transforms an image.
func (a *Images) Apply(t Transform, from, to []float32) {
	exact := to
	if t.Warped {
		exact = a.exact
	}
	a.move(t, from, exact)
	if t.Warped {
		a.warp(&t.Warp, exact, to)
	}
}

// mirrored is the pixel of a line of n that stands at i: the border is not repeated.
func mirrored(i, n int) int {
	i = wrapped(i, 2*n-2)
	return min(i, 2*n-2-i)
}

func wrapped(i, n int) int {
	if i %= n; i < 0 {
		i += n
	}
	return i
}

// move copies pixels: mirrors, quarter turns and shifts.
func (a *Images) move(t Transform, from, to []float32) {
	n, c := a.side, a.channels
	for y := range n {
		for x := range n {
			i, j := mirrored(x-t.ShiftX, n), mirrored(y-t.ShiftY, n)
			for range wrapped(t.Turns, 4) {
				i, j = n-1-j, i
			}
			if t.FlipY {
				j = n - 1 - j
			}
			if t.FlipX {
				i = n - 1 - i
			}
			copy(to[(y*n+x)*c:][:c], from[(j*n+i)*c:])
		}
	}
}

// warp makes the fine grid of the image, looks up where the fine pixels of the result come
// from, linearly between four, and makes pixels of them.
func (a *Images) warp(m *[6]float64, from, to []float32) {
	n, fine, out, c := a.side, a.fineSide(), a.outSide(), a.channels
	for y := range n {
		for k := range fine {
			a.up(a.rows[(y*fine+k)*c:][:c], k, func(j int) []float32 { return from[(y*n+j)*c:] })
		}
	}
	for k := range fine {
		for x := range fine {
			a.up(a.fine[(k*fine+x)*c:][:c], k, func(j int) []float32 { return a.rows[(j*fine+x)*c:] })
		}
	}
	middle := float64(n-1) / 2
	place := func(k int) float64 { return (float64(k-before)-offset)/2 - middle }
	for v := range out {
		for u := range out {
			x, y := place(u), place(v)
			a.between(a.out[(v*out+u)*c:][:c], 2*(m[0]*x+m[1]*y+m[2]+middle)+offset, 2*(m[3]*x+m[4]*y+m[5]+middle)+offset)
		}
	}
	for v := range out {
		for x := range n {
			a.down(a.to[(v*n+x)*c:][:c], func(i int) []float32 { return a.out[(v*out+2*x+i)*c:] })
		}
	}
	for y := range n {
		for x := range n {
			a.down(to[(y*n+x)*c:][:c], func(i int) []float32 { return a.to[((2*y+i)*n+x)*c:] })
		}
	}
}

// up is fine pixel k of a line.
func (a *Images) up(to []float32, k int, line func(j int) []float32) {
	clear(to)
	for i := (k + before) % 2; i < len(taps); i += 2 {
		p, h := line(mirrored((k+before-i)/2, a.side)), float32(math.Sqrt2*taps[i])
		for ch := range to {
			to[ch] += float32(h * p[ch])
		}
	}
}

// down is a pixel of those of a line that its taps meet.
func (a *Images) down(to []float32, line func(i int) []float32) {
	clear(to)
	for i, h := range taps {
		p, h := line(i), float32(h/math.Sqrt2)
		for ch := range to {
			to[ch] += float32(h * p[ch])
		}
	}
}

// between is the fine grid at a place between its pixels.
func (a *Images) between(to []float32, x, y float64) {
	fine, c := a.fineSide(), a.channels
	fx, fy := math.Floor(x), math.Floor(y)
	u, v := float32(x-fx), float32(y-fy)
	i, j := wrapped(int(fx), fine), wrapped(int(fy), fine)
	i1, j1 := wrapped(i+1, fine), wrapped(j+1, fine)
	at := func(i, j int) []float32 { return a.fine[(j*fine+i)*c:] }
	p, q, r, s := at(i, j), at(i1, j), at(i, j1), at(i1, j1)
	for ch := range to {
		above, below := p[ch]+float32(u*(q[ch]-p[ch])), r[ch]+float32(u*(s[ch]-r[ch]))
		to[ch] = above + float32(v*(below-above))
	}
}

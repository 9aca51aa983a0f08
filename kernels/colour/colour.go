// Package colour gives white noise a spectrum. An image e of white noise becomes
// Cᵀ (A ∘ C e), channel by channel, where C is the orthonormal cosine transform (DCT-II)
// along height and width, and A the amplitude of each pair of frequencies. So noise of
// covariance I has covariance K = Cᵀ A² C, and A is K^½ there.
package colour

import (
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/row"

	"gorgonia.org/tensor"
)

// Spectrum is the amplitudes of images of height × width.
type Spectrum struct {
	Height, Width int
	Amplitude     []float32 // [k·Width + l] of frequency k along height and l along width
}

// Op is the kernel that changes (N,H,W,C) in place.
type Op struct {
	kernels.Signature
	Spectrum
	images, channels int
	row              []float32 // amplitudes, then the cosines along height, then those along width
}

// New returns the kernel for so many images.
func New(s Spectrum, images, channels int) Op {
	k := Op{kernels.Signature{Name: fmt.Sprintf("colour %dx%dx%dx%d", images, s.Height, s.Width, channels), Rank: 4}, s, images, channels, nil}
	k.row = append(append(append(k.row, s.Amplitude...), Cosines(s.Height)...), Cosines(s.Width)...)
	return k
}

// Cosines are the rows of the orthonormal DCT-II of n values: [k·n + i].
func Cosines(n int) []float32 {
	c := make([]float32, n*n)
	for k := range n {
		scale := math.Sqrt(2 / float64(n))
		if k == 0 {
			scale = math.Sqrt(1 / float64(n))
		}
		for i := range n {
			c[k*n+i] = float32(scale * math.Cos(math.Pi*float64(k*(2*i+1)%(4*n))/float64(2*n)))
		}
	}
	return c
}

func (k Op) height() []float32 { return k.row[k.Height*k.Width:][:k.Height*k.Height] }
func (k Op) width() []float32  { return k.row[k.Height*(k.Width+k.Height):] }

// values of an image.
func (k Op) values() int { return k.Height * k.Width * k.channels }

// Cost of one launch.
func (k Op) Cost([]tensor.Shape, tensor.Shape) kernels.Cost {
	n := int64(k.images) * int64(k.values())
	return kernels.Cost{FLOPs: n * int64(4*(k.Height+k.Width)+1), Bytes: 8 * n}
}

// Scratch is an image a thread.
func (k Op) Scratch(_ []tensor.Shape, _ tensor.Shape, threads int) int { return threads * k.values() }

// Check reports why a launch would not fit.
func (k Op) Check(out cpu.Matrix) error {
	switch {
	case len(k.Amplitude) != k.Height*k.Width || len(k.Amplitude) == 0:
		return fmt.Errorf("%v: %d amplitudes", k, len(k.Amplitude))
	case out.Rows != k.images*k.Height*k.Width || out.Cols != k.channels:
		return fmt.Errorf("%v of a matrix of %d by %d", k, out.Rows, out.Cols)
	}
	return nil
}

// CPU binds the kernel. Sums go from the first place to the last, and each product is
// rounded: the bits of a GPU.
func (k Op) CPU(l kernels.Launch) func(*cpu.Pool) {
	if err := k.Check(l.Out.Matrix); err != nil {
		panic(err)
	}
	pixels := k.Height * k.Width
	task := func(image, worker int) {
		k.image(kernels.Rows(l.Out.Matrix, image*pixels, pixels), l.Scratch[worker*k.values():])
	}
	return func(p *cpu.Pool) { p.Run(k.images, task) }
}

// Image changes one that lies dense, with room for another.
func (k Op) Image(x, scratch []float32) {
	k.image(cpu.Matrix{Data: x, Rows: k.Height * k.Width, Cols: k.channels, Pitch: k.channels}, scratch)
}

func (k Op) image(x cpu.Matrix, scratch []float32) {
	s := cpu.Matrix{Data: scratch[:k.values()], Rows: x.Rows, Cols: k.channels, Pitch: k.channels}
	along(s, x, k.height(), k.Height, k.Width, false)
	along(x, s, k.width(), k.Width, 1, false)
	for i, a := range k.Amplitude {
		for c, v := range x.Row(i) {
			x.Row(i)[c] = a * v
		}
	}
	along(s, x, k.height(), k.Height, k.Width, true)
	along(x, s, k.width(), k.Width, 1, true)
}

// along transforms lines of n places that are stride rows of a matrix apart; back by the
// transposed matrix.
func along(to, from cpu.Matrix, cosines []float32, n, stride int, back bool) {
	for line := range to.Rows / n {
		first := line/stride*stride*n + line%stride
		for q := range n {
			out := to.Row(first + q*stride)
			clear(out)
			for i := range n {
				c := cosines[q*n+i]
				if back {
					c = cosines[i*n+q]
				}
				for ch, v := range from.Row(first + i*stride) {
					out[ch] += float32(c * v)
				}
			}
		}
	}
}

// ParameterBytes is the size of a step's row.
func (k Op) ParameterBytes() int { return row.Bytes[float32](len(k.row)) }

// PutParameters writes a step's row.
func (k Op) PutParameters(to []byte) { row.Put(to, k.row...) }

// Reference is what becomes of images, dense, in float64.
func (k Op) Reference(images []float64) []float64 {
	out := make([]float64, len(images))
	h, w, c := k.Height, k.Width, k.channels
	cos := func(n, q, i int) float64 {
		scale := math.Sqrt(2 / float64(n))
		if q == 0 {
			scale = math.Sqrt(1 / float64(n))
		}
		return scale * math.Cos(math.Pi*float64(q)*(float64(i)+0.5)/float64(n))
	}
	for image := 0; image < len(images); image += k.values() {
		for ch := range c {
			for u := range h {
				for v := range w {
					sum := 0.0
					for y := range h {
						for x := range w {
							sum += cos(h, u, y) * cos(w, v, x) * images[image+(y*w+x)*c+ch]
						}
					}
					sum *= float64(k.Amplitude[u*w+v])
					for y := range h {
						for x := range w {
							out[image+(y*w+x)*c+ch] += sum * cos(h, u, y) * cos(w, v, x)
						}
					}
				}
			}
		}
	}
	return out
}

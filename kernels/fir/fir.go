// Package fir resamples images by two with a filter, as StyleGAN2 and NCSN++ do: zeros between
// pixels, a separable filter on every channel by itself, every second pixel. Outside of an
// image there are zeros.
package fir

import (
	"errors"
	"fmt"
	"slices"

	"fluxion/kernels"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// MostTaps is how long a filter may be.
const MostTaps = 8

// Down halves x (N,H,W,C) with a filter of an even number of taps, which are scaled to a sum
// of 1; H and W must be even. Taps 1,1 are the mean of every square.
func Down(x *gorgonia.Node, taps ...float64) *gorgonia.Node {
	s := x.Shape()
	if s[1]%2 != 0 || s[2]%2 != 0 {
		panic(fmt.Errorf("halving of %v: height and width must be even", s))
	}
	return apply(x, resampling{
		down: 2, up: 1, pad: (len(taps) - 1) / 2, height: s[1] / 2, width: s[2] / 2, taps: normal(taps, 1),
	})
}

// DownWithin halves x as Down does, but only where the filter lies within x: it has rows and
// columns more on each side, len(taps)/2−1 of them.
func DownWithin(x *gorgonia.Node, taps ...float64) *gorgonia.Node {
	s, more := x.Shape(), len(taps)/2-1
	if s[1]%2 != 0 || s[2]%2 != 0 || min(s[1], s[2]) <= 2*more {
		panic(fmt.Errorf("halving of %v within: height and width must be even, and more than %d", s, 2*more))
	}
	return apply(x, resampling{down: 2, up: 1, height: s[1]/2 - more, width: s[2]/2 - more, taps: normal(taps, 1)})
}

// Up doubles x (N,H,W,C) with a filter of an even number of taps, which are scaled to a sum of
// 2. Taps 1,1 repeat every pixel in a square.
func Up(x *gorgonia.Node, taps ...float64) *gorgonia.Node { return UpPadded(x, 0, taps...) }

// UpPadded doubles x as Up does, and gives so many rows and columns more on each side, where
// the filter still reaches pixels: a convolution of what it gives needs no zeros there.
func UpPadded(x *gorgonia.Node, more int, taps ...float64) *gorgonia.Node {
	s := x.Shape()
	return apply(x, resampling{
		down: 1, up: 2, pad: len(taps)/2 + more, height: 2*s[1] + 2*more, width: 2*s[2] + 2*more, taps: normal(taps, 2),
	})
}

// normal scales taps to a sum.
func normal(taps []float64, sum float64) []float64 {
	if n := len(taps); n == 0 || n%2 != 0 || n > MostTaps {
		panic(fmt.Errorf("a filter of %d taps, want an even number up to %d", n, MostTaps))
	}
	total := 0.
	for _, t := range taps {
		total += t
	}
	out := slices.Clone(taps)
	for i := range out {
		out[i] *= sum / total
	}
	return out
}

func apply(x *gorgonia.Node, r resampling) *gorgonia.Node {
	r.Signature = kernels.Signature{Name: fmt.Sprintf("fir up %d down %d pad %d to %d×%d by %v", r.up, r.down, r.pad, r.height, r.width, r.taps), Ranks: []int{4}, Rank: 4}
	return kernels.Apply(r, x)
}

// resampling is, along both axes, y[o] = Σ_k taps[len−1−k]·u[o·down + k − pad], where u has x at
// every up-th place and zeros between and outside. Its gradient is one, too.
type resampling struct {
	kernels.Signature
	up, down, pad int
	height, width int // of the result
	taps          []float64
}

func (r resampling) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{s[0][0], r.height, r.width, s[0][3]}, nil
}

// source is the place of x that tap k of place o takes, if there is one.
func (r resampling) source(o, k, size int) (i int, ok bool) {
	u := o*r.down + k - r.pad
	return u / r.up, u >= 0 && u%r.up == 0 && u/r.up < size
}

// weight is the factor of tap k.
func (r resampling) weight(k int) float64 { return r.taps[len(r.taps)-1-k] }

func (r resampling) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		s := in[0].Shape
		h, w, c := s[1], s[2], s[3]
		y := kernels.NewArray(s[0], r.height, r.width, c)
		for i := range y.Data {
			channel, ox, oy, n := i%c, i/c%r.width, i/c/r.width%r.height, i/c/r.width/r.height
			for ky := range r.taps {
				iy, ok := r.source(oy, ky, h)
				if !ok {
					continue
				}
				for kx := range r.taps {
					if ix, ok := r.source(ox, kx, w); ok {
						y.Data[i] += r.weight(ky) * r.weight(kx) * in[0].Data[((n*h+iy)*w+ix)*c+channel]
					}
				}
			}
		}
		return y
	}, v)
}

func (resampling) DiffWRT(int) []bool { return []bool{true} }

func (r resampling) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	if in[0].Dims() != 4 {
		return nil, errors.New("the gradient of a resampling that is not of images")
	}
	s := in[0].Shape()
	back := resampling{up: r.down, down: r.up, pad: len(r.taps) - 1 - r.pad, height: s[1], width: s[2], taps: slices.Clone(r.taps)}
	slices.Reverse(back.taps)
	return gorgonia.Nodes{apply(dy, back)}, nil
}

func (r resampling) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	taps := int64(len(r.taps) * len(r.taps) / r.up / r.up)
	return kernels.Cost{FLOPs: 2 * taps * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

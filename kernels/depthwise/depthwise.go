// Package depthwise is the convolution of every channel by itself.
package depthwise

import (
	"errors"
	"fmt"

	"fluxion/kernels"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Options of a convolution. Padding is zeros, in pixels.
type Options struct {
	Stride                               int
	PadTop, PadLeft, PadBottom, PadRight int
}

// Conv2D convolves each channel of x (N,H,W,C) with its own kernel of w (KH,KW,1,C) and
// adds b (C). It has no gradient: it serves networks that are not trained here.
func Conv2D(x, w, b *gorgonia.Node, o Options) *gorgonia.Node {
	s := w.Shape()
	name := fmt.Sprintf("depthwise %dx%d stride %d pad %d,%d,%d,%d", s[0], s[1], o.Stride, o.PadTop, o.PadLeft, o.PadBottom, o.PadRight)
	return kernels.Apply(forward{kernels.Signature{Name: name, Ranks: []int{4, 4, 1}, Rank: 4}, o}, x, w, b)
}

// forward is the convolution; inputs x, w, b.
type forward struct {
	kernels.Signature
	o Options
}

// size is one convolution with all its dimensions.
type size struct {
	Options
	n, h, w, c, oh, ow, kh, kw int
}

func (o Options) of(x, w tensor.Shape) size {
	return size{
		o, x[0], x[1], x[2], x[3],
		(x[1]+o.PadTop+o.PadBottom-w[0])/o.Stride + 1, (x[2]+o.PadLeft+o.PadRight-w[1])/o.Stride + 1, w[0], w[1],
	}
}

// Weights are w.
func (forward) Weights() []int { return []int{1} }

func (f forward) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	x, w, b := s[0], s[1], s[2]
	if f.o.Stride < 1 || min(f.o.PadTop, f.o.PadLeft, f.o.PadBottom, f.o.PadRight) < 0 {
		return nil, fmt.Errorf("convolution of stride %d and padding %v: want a stride, and no less than no padding", f.o.Stride, f.o)
	}
	if w[2] != 1 || x[3] != w[3] || x[3] != b[0] {
		return nil, fmt.Errorf("convolution of %v by channel with weights %v and bias %v: want (N,H,W,C), (KH,KW,1,C) and (C)", x, w, b)
	}
	if x[1]+f.o.PadTop+f.o.PadBottom < w[0] || x[2]+f.o.PadLeft+f.o.PadRight < w[1] {
		return nil, fmt.Errorf("convolution of %v with a %d×%d kernel leaves nothing", x, w[0], w[1])
	}
	z := f.o.of(x, w)
	return tensor.Shape{z.n, z.oh, z.ow, z.c}, nil
}

func (f forward) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		x, w, b := in[0], in[1], in[2]
		z := f.o.of(x.Shape, w.Shape)
		y := kernels.NewArray(z.n, z.oh, z.ow, z.c)
		for i := range y.Data {
			c, ox, oy, n := i%z.c, i/z.c%z.ow, i/z.c/z.ow%z.oh, i/z.c/z.ow/z.oh
			y.Data[i] = b.Data[c]
			for ky := range z.kh {
				for kx := range z.kw {
					iy, ix := oy*z.Stride-z.PadTop+ky, ox*z.Stride-z.PadLeft+kx
					if iy >= 0 && iy < z.h && ix >= 0 && ix < z.w {
						y.Data[i] += w.Data[(ky*z.kw+kx)*z.c+c] * x.Data[((n*z.h+iy)*z.w+ix)*z.c+c]
					}
				}
			}
		}
		return y
	}, v)
}

func (forward) DiffWRT(n int) []bool { return make([]bool, n) }

func (forward) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, errors.New("the convolution by channel has no gradient here")
}

func (f forward) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 2 * int64(out.TotalSize()) * int64(in[1][0]*in[1][1]), Bytes: kernels.Traffic(out, in...)}
}

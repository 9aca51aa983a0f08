// Package pool takes the largest value or the mean of windows of an image.
package pool

import (
	"errors"
	"fmt"

	"fluxion/kernels"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Options are the windows: of Side×Side pixels, one every Stride pixels, the first
// one Pad pixels outside of the image. What lies outside does not count.
type Options struct{ Side, Stride, Pad int }

// Max is the largest value of every window of x (N,H,W,C). It has no gradient: it serves
// networks that are not trained here.
func Max(x *gorgonia.Node, o Options) *gorgonia.Node {
	return kernels.Apply(windows{kernels.Signature{Name: "maxpool " + o.String(), Ranks: []int{4}, Rank: 4}, o, true}, x)
}

// Mean is the mean of every window of x (N,H,W,C), over the pixels that are inside of
// the image: PyTorch's count_include_pad=False.
func Mean(x *gorgonia.Node, o Options) *gorgonia.Node {
	return kernels.Apply(windows{kernels.Signature{Name: "meanpool " + o.String(), Ranks: []int{4}, Rank: 4}, o, false}, x)
}

func (o Options) String() string { return fmt.Sprintf("%d stride %d pad %d", o.Side, o.Stride, o.Pad) }

// size is the windows of an image.
type size struct {
	Options
	images, h, w, oh, ow int
}

func (o Options) of(images, h, w int) size {
	return size{o, images, h, w, (h+2*o.Pad-o.Side)/o.Stride + 1, (w+2*o.Pad-o.Side)/o.Stride + 1}
}

// window is the pixels [top, bottom) × [left, right) of the window at y, x.
func (s size) window(y, x int) (top, bottom, left, right int) {
	top, left = y*s.Stride-s.Pad, x*s.Stride-s.Pad
	return max(top, 0), min(top+s.Side, s.h), max(left, 0), min(left+s.Side, s.w)
}

// windows is either of the operations; its input is x.
type windows struct {
	kernels.Signature
	o   Options
	max bool
}

func (p windows) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	x, o := s[0], p.o
	if o.Side < 1 || o.Stride < 1 || o.Pad < 0 || 2*o.Pad > o.Side {
		return nil, fmt.Errorf("windows of %v: want a side and a stride, and a pad of at most half the side", o)
	}
	z := o.of(x[0], x[1], x[2])
	if z.oh < 1 || z.ow < 1 || x[1]+2*o.Pad < o.Side || x[2]+2*o.Pad < o.Side {
		return nil, fmt.Errorf("windows of %v are larger than images of %v", o, x)
	}
	return tensor.Shape{x[0], z.oh, z.ow, x[3]}, nil
}

func (p windows) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		s := in[0].Shape
		z, c := p.o.of(s[0], s[1], s[2]), s[3]
		out := kernels.NewArray(s[0], z.oh, z.ow, c)
		z.each(func(window int, pixels []int) {
			for k := range c {
				of := func(i int) float64 { return in[0].Data[pixels[i]*c+k] }
				if p.max {
					out.Data[window*c+k] = of(largest(len(pixels), of))
					continue
				}
				for i := range pixels {
					out.Data[window*c+k] += of(i) / float64(len(pixels))
				}
			}
		})
		return out
	}, v)
}

// largest is the first of n values that no other is larger than.
func largest(n int, of func(i int) float64) int {
	at := 0
	for i := 1; i < n; i++ {
		if of(i) > of(at) {
			at = i
		}
	}
	return at
}

// each visits every window of every image with its pixels.
func (s size) each(visit func(window int, pixels []int)) {
	var pixels []int
	for n := range s.images {
		for oy := range s.oh {
			for ox := range s.ow {
				pixels = pixels[:0]
				top, bottom, left, right := s.window(oy, ox)
				for y := top; y < bottom; y++ {
					for x := left; x < right; x++ {
						pixels = append(pixels, (n*s.h+y)*s.w+x)
					}
				}
				visit((n*s.oh+oy)*s.ow+ox, pixels)
			}
		}
	}
}

func (p windows) DiffWRT(int) []bool { return []bool{!p.max} }

func (p windows) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	if p.max {
		return nil, errors.New("the largest value of windows has no gradient here")
	}
	h, w := in[0].Shape()[1], in[0].Shape()[2]
	name := fmt.Sprintf("%s.dx to %dx%d", p.Name, h, w)
	return gorgonia.Nodes{kernels.Apply(gradient{kernels.Signature{Name: name, Ranks: []int{4}, Rank: 4}, p.o, h, w}, dy)}, nil
}

func (p windows) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(out.TotalSize()) * int64(p.o.Side*p.o.Side), Bytes: kernels.Traffic(out, in...)}
}

// gradient is that of means; its input is dy.
type gradient struct {
	kernels.Signature
	o    Options
	h, w int
}

func (g gradient) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{s[0][0], g.h, g.w, s[0][3]}, nil
}

func (g gradient) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		dy := in[0]
		c := dy.Shape[3]
		z := g.o.of(dy.Shape[0], g.h, g.w)
		dx := kernels.NewArray(dy.Shape[0], g.h, g.w, c)
		z.each(func(window int, pixels []int) {
			for k := range c {
				d := dy.Data[window*c+k]
				for _, p := range pixels {
					dx.Data[p*c+k] += d / float64(len(pixels))
				}
			}
		})
		return dx
	}, v)
}

func (gradient) DiffWRT(n int) []bool { return make([]bool, n) }

func (gradient) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, errors.New("the gradient of pooling has no gradient")
}

func (g gradient) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(in[0].TotalSize()) * int64(g.o.Side*g.o.Side), Bytes: kernels.Traffic(out, in...)}
}

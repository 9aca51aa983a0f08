package magnitude

import (
	"errors"
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Pixel divides x (…,C), pixel by pixel, by the root mean square of each of so many groups of
// its channels.
func Pixel(x *gorgonia.Node, groups int) *gorgonia.Node {
	return kernels.Apply(pixel{ofPixels("pixel norm", groups, x.Dims())}, x)
}

// pixels is what the norm and its gradient have in common.
type pixels struct {
	kernels.Elementwise
	groups int
}

func ofPixels(name string, groups int, ranks ...int) pixels {
	return pixels{kernels.NewElementwise(fmt.Sprintf("%s of %d groups", name, groups), ranks...), groups}
}

// InferShape checks that groups are of one size.
func (o pixels) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := o.Elementwise.InferShape(in...)
	if err == nil && s[len(s)-1]%o.groups != 0 {
		return nil, fmt.Errorf("%s of %v: want a multiple of %d channels", o.Name, s, o.groups)
	}
	return s, err
}

// Cost of one launch.
func (o pixels) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64((1 + 2*len(in)) * out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

type pixel struct{ pixels }

func (o pixel) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		x := in[0]
		y := kernels.NewArray(x.Shape...)
		n := x.Shape[len(x.Shape)-1] / o.groups
		for at := 0; at < len(x.Data); at += n {
			factor, _ := inverse(dot(x.Data[at:at+n], x.Data[at:at+n]), n)
			for i := at; i < at+n; i++ {
				y.Data[i] = factor * x.Data[i]
			}
		}
		return y
	}, v)
}

func (pixel) DiffWRT(int) []bool { return []bool{true} }

func (o pixel) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	r := dy.Dims()
	return gorgonia.Nodes{kernels.Apply(pixelGrad{ofPixels("pixel norm.dx", o.groups, r, r)}, in[0], dy)}, nil
}

func (o pixel) CPU(l kernels.Launch) func(*cpu.Pool) {
	n := l.Out.Cols / o.groups
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, from, rows int) {
		for r := from; r < from+rows; r++ {
			for at := 0; at < l.Out.Cols; at += n {
				x, to := l.In[0].Row(r)[at:at+n], l.Out.Row(r)[at:at+n]
				factor, _ := inverse(dot(x, x), n)
				for i, e := range x {
					to[i] = float32(factor) * e
				}
			}
		}
	})
}

// pixelGrad: inputs x, dy.
type pixelGrad struct{ pixels }

func (o pixelGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		dx := kernels.NewArray(in[0].Shape...)
		n := dx.Shape[len(dx.Shape)-1] / o.groups
		for at := 0; at < len(dx.Data); at += n {
			x, dy := in[0].Data[at:at+n], in[1].Data[at:at+n]
			factor, slope := inverse(dot(x, x), n)
			slope *= dot(x, dy)
			for i := range x {
				dx.Data[at+i] = factor*dy[i] - slope*x[i]
			}
		}
		return dx
	}, v)
}

func (pixelGrad) DiffWRT(n int) []bool { return make([]bool, n) }

func (pixelGrad) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, errors.New("the gradient of the pixel norm has no gradient")
}

func (o pixelGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	n := l.Out.Cols / o.groups
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, from, rows int) {
		for r := from; r < from+rows; r++ {
			for at := 0; at < l.Out.Cols; at += n {
				x, dy, to := l.In[0].Row(r)[at:at+n], l.In[1].Row(r)[at:at+n], l.Out.Row(r)[at:at+n]
				factor, slope := inverse(dot(x, x), n)
				slope *= dot(x, dy)
				for i, e := range x {
					to[i] = float32(factor*float64(dy[i])) - float32(slope*float64(e))
				}
			}
		}
	})
}

func dot[T float32 | float64](x, y []T) (sum float64) {
	for i, e := range x {
		sum += float64(e) * float64(y[i])
	}
	return sum
}

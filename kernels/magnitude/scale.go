package magnitude

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/reduce"
	"fluxion/kernels/reshape"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Scale multiplies x (N,…,C) by t: (N,C) for each image and channel, or (1) for all of it.
func Scale(x, t *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(scale{kernels.Signature{Name: "scale", Ranks: []int{x.Dims(), t.Dims()}, Rank: x.Dims()}}, x, t)
}

type scale struct{ kernels.Signature }

func (scale) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	x, t := s[0], s[1]
	if !t.Eq(tensor.Shape{1}) && !t.Eq(tensor.Shape{x[0], x[len(x)-1]}) {
		return nil, fmt.Errorf("scaling of %v by %v: want (N,C) or (1)", x, t)
	}
	return x.Clone(), nil
}

// steps are those in t from one image to the next, and from one channel to the next.
func steps(t tensor.Shape) (image, channel int) {
	if len(t) == 1 {
		return 0, 0
	}
	return t[1], 1
}

func (scale) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		x, t := in[0], in[1]
		y := kernels.NewArray(x.Shape...)
		image, channel := steps(t.Shape)
		per, c := len(x.Data)/x.Shape[0], x.Shape[len(x.Shape)-1]
		for i, e := range x.Data {
			y.Data[i] = e * t.Data[i/per*image+i%c*channel]
		}
		return y
	}, v)
}

func (scale) DiffWRT(int) []bool { return []bool{true, true} }

func (scale) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	x, t := in[0], in[1]
	if t.Dims() == 2 {
		return gorgonia.Nodes{Scale(dy, t), products(x, dy, true)}, nil
	}
	columns := products(x, dy, false)
	return gorgonia.Nodes{Scale(dy, t), reduce.Rows(reshape.To(columns, columns.Shape()[0], 1))}, nil
}

func (scale) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (scale) CPU(l kernels.Launch) func(*cpu.Pool) {
	x, t := l.In[0], l.In[1]
	pixels := l.Out.Rows / x.Shape[0]
	image, channel := steps(t.Shape)
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, from, n int) {
		for r := from; r < from+n; r++ {
			by, to := t.Data[r/pixels*image:], l.Out.Row(r)
			for i, e := range x.Row(r)[:len(to)] {
				to[i] = e * by[i*channel]
			}
		}
	})
}

// products sums x·y (N,…,C) over the pixels of each image, (N,C), or over all of them, (C).
func products(x, y *gorgonia.Node, perImage bool) *gorgonia.Node {
	name, rank := "sum products", 1
	if perImage {
		name, rank = "sum products of pixels", 2
	}
	return kernels.Apply(dots{kernels.Signature{Name: name, Ranks: []int{x.Dims(), x.Dims()}, Rank: rank}, perImage}, x, y)
}

type dots struct {
	kernels.Signature
	perImage bool
}

// Reduces activations to sums.
func (dots) Reduces() {}

func (d dots) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if !s[0].Eq(s[1]) {
		return nil, fmt.Errorf("products of %v and %v: want equal shapes", s[0], s[1])
	}
	return d.shape(s[0]), nil
}

func (d dots) shape(x tensor.Shape) tensor.Shape {
	if d.perImage {
		return tensor.Shape{x[0], x[len(x)-1]}
	}
	return tensor.Shape{x[len(x)-1]}
}

func (d dots) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		x := in[0]
		y := kernels.NewArray(d.shape(x.Shape)...)
		c, per := x.Shape[len(x.Shape)-1], len(x.Data)
		if d.perImage {
			per /= x.Shape[0]
		}
		for i, e := range x.Data {
			y.Data[i/per*c+i%c] += e * in[1].Data[i]
		}
		return y
	}, v)
}

func (dots) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 2 * int64(in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// blockRows are the rows that are summed on their own, before the sums of all are.
const blockRows = 256

// cut is how rows are shared: groups of so many rows, each in so many blocks.
func (d dots) cut(x tensor.Shape) (groups, rows, blocks int) {
	groups, rows = 1, x.TotalSize()/x[len(x)-1]
	if d.perImage {
		groups, rows = x[0], rows/x[0]
	}
	return groups, rows, (rows + blockRows - 1) / blockRows
}

func (d dots) CPU(l kernels.Launch) func(*cpu.Pool) {
	x, y := l.In[0], l.In[1]
	groups, rows, blocks := d.cut(x.Shape)
	partial := make([]float64, groups*blocks*x.Cols)
	block := func(task, _ int) {
		sums := partial[task*x.Cols:][:x.Cols]
		clear(sums)
		first := task % blocks * blockRows
		for r := first; r < min(first+blockRows, rows); r++ {
			a, b := x.Row(task/blocks*rows+r), y.Row(task/blocks*rows+r)
			for i := range sums {
				sums[i] += float64(a[i]) * float64(b[i])
			}
		}
	}
	return func(p *cpu.Pool) {
		p.Run(groups*blocks, block)
		for g := range groups {
			to := l.Out.Data[g*x.Cols:][:x.Cols]
			for c := range to {
				total := 0.0
				for b := range blocks {
					total += partial[(g*blocks+b)*x.Cols+c]
				}
				to[c] = float32(total)
			}
		}
	}
}

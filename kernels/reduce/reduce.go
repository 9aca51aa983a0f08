// Package reduce sums a tensor over its rows, which is the gradient of a value that was
// broadcast over rows, such as a bias.
package reduce

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Rows sums x (…,C) over all but the last axis: the gradient of a bias (C).
func Rows(x *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(sum{kernels.Signature{Name: "sum rows", Ranks: []int{x.Dims()}, Rank: 1}, false}, x)
}

// Pixels sums x (N,…,C) over the pixels of each image, giving (N,C).
func Pixels(x *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(sum{kernels.Signature{Name: "sum pixels", Ranks: []int{x.Dims()}, Rank: 2}, true}, x)
}

type sum struct {
	kernels.Signature
	perImage bool
}

// Reduces activations to sums.
func (sum) Reduces() {}

// SumsRows says so of all rows.
func (s sum) SumsRows() bool { return !s.perImage }

// SumsPixels says so of those of an image.
func (s sum) SumsPixels() bool { return s.perImage }

func (s sum) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	x, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return s.shape(x[0]), nil
}

func (s sum) shape(x tensor.Shape) tensor.Shape {
	if s.perImage {
		return tensor.Shape{x[0], x[len(x)-1]}
	}
	return tensor.Shape{x[len(x)-1]}
}

func (s sum) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		x := in[0]
		y := kernels.NewArray(s.shape(x.Shape)...)
		c := x.Shape[len(x.Shape)-1]
		per := len(x.Data) // elements that share a sum
		if s.perImage {
			per /= x.Shape[0]
		}
		for i, e := range x.Data {
			y.Data[i/per*c+i%c] += e
		}
		return y
	}, v)
}

func (s sum) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// Sums are a tree of this many terms a level, which keeps float32 exact enough.
const (
	leafRows  = 32
	blockRows = 32 * leafRows
)

func (s sum) blocks(in tensor.Shape) (groups, rows, blocks int) {
	rows = in.TotalSize() / in[len(in)-1]
	groups = 1
	if s.perImage {
		groups, rows = in[0], rows/in[0]
	}
	return groups, rows, (rows + blockRows - 1) / blockRows
}

func (s sum) Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	groups, _, blocks := s.blocks(in[0])
	x := in[0]
	return (groups*blocks + threads) * x[len(x)-1]
}

// TakesBFloat16 says yes.
func (sum) TakesBFloat16() bool { return true }

func (s sum) CPU(l kernels.Launch) func(*cpu.Pool) {
	if l.In[0].Type == number.BFloat16 {
		return bind[uint16](s, l)
	}
	return bind[float32](s, l)
}

func bind[T cpu.Element](s sum, l kernels.Launch) func(*cpu.Pool) {
	groups, rows, blocks := s.blocks(l.In[0].Shape)
	x := kernels.View[T](l.In[0])
	partial := l.Scratch[:groups*blocks*x.Cols]
	leaves := l.Scratch[groups*blocks*x.Cols:]
	var k *cpu.Norms[T]
	block := func(task, worker int) {
		group, first := task/blocks, task%blocks*blockRows
		leaf := leaves[worker*x.Cols : (worker+1)*x.Cols]
		acc := partial[task*x.Cols : (task+1)*x.Cols]
		clear(acc)
		for r := first; r < min(first+blockRows, rows); r += leafRows {
			clear(leaf)
			k.ColSum(leaf, x.Part(group*rows+r, min(leafRows, rows-r), 0, x.Cols))
			for i, e := range leaf {
				acc[i] += e
			}
		}
	}
	return func(p *cpu.Pool) {
		k = cpu.NormsOf[T](p.Kernels())
		p.Run(groups*blocks, block)
		for g := range groups {
			to := l.Out.Data[g*x.Cols : (g+1)*x.Cols]
			for c := range to {
				total := 0.0
				for b := range blocks {
					total += float64(partial[(g*blocks+b)*x.Cols+c])
				}
				to[c] = float32(total)
			}
		}
	}
}

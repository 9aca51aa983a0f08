package magnitude

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Fill is a tensor of one number, in the graph of another tensor, and an activation if that is
// one. It has no gradient.
func Fill(like *gorgonia.Node, value float64, shape ...int) *gorgonia.Node {
	name := fmt.Sprintf("fill %v with %g", shape, value)
	return kernels.Apply(fill{kernels.Signature{Name: name, Ranks: []int{like.Dims()}, Rank: len(shape)}, float32(value), shape}, like)
}

type fill struct {
	kernels.Signature
	value float32
	shape tensor.Shape
}

func (o fill) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.shape.Clone(), nil }

func (o fill) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func([]kernels.Array) kernels.Array {
		y := kernels.NewArray(o.shape...)
		for i := range y.Data {
			y.Data[i] = float64(o.value)
		}
		return y
	}, v)
}

func (fill) DiffWRT(int) []bool { return []bool{false} }

func (fill) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{nil}, nil
}

func (fill) Cost(_ []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{Bytes: kernels.Traffic(out)}
}

func (o fill) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, from, n int) {
		for r := from; r < from+n; r++ {
			to := l.Out.Row(r)
			for i := range to {
				to[i] = o.value
			}
		}
	})
}

// Package loss is the training objective: the weighted mean squared error of the
// network's output.
package loss

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// MSE returns mean over n of weight[n]·mean((y[n]−target[n])²), a scalar, for y
// and target (N,H,W,C) and weight (N). Only y has a gradient.
func MSE(y, target, weight *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(Op{kernels.Signature{Name: "mse", Ranks: []int{4, 4, 1}, Rank: 0}}, y, target, weight)
}

// Op is the loss of MSE.
type Op struct{ kernels.Signature }

// InferShape checks that y and target agree.
func (Op) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if !s[0].Eq(s[1]) || s[2][0] != s[0][0] {
		return nil, fmt.Errorf("loss of %v against %v with weights %v", s[0], s[1], s[2])
	}
	return tensor.ScalarShape(), nil
}

// Exact holds for the network's output as the loss sees it.
func (Op) Exact() {}

// Reduces activations to the loss.
func (Op) Reduces() {}

// Do evaluates the reference.
func (Op) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		total := kernels.NewArray()
		per := len(in[0].Data) / len(in[2].Data)
		for i, y := range in[0].Data {
			d := y - in[1].Data[i]
			total.Data[0] += in[2].Data[i/per] * d * d / float64(len(in[0].Data))
		}
		return total
	}, v)
}

// DiffWRT says that only the network's output has a gradient.
func (Op) DiffWRT(int) []bool { return []bool{true, false, false} }

// SymDiff returns 2·weight·(y−target)/count. The gradient of the loss itself is one.
func (Op) SymDiff(in gorgonia.Nodes, _, _ *gorgonia.Node) (gorgonia.Nodes, error) {
	g := grad{kernels.Signature{Name: "mse.dy", Ranks: []int{4, 4, 1}, Rank: 4}}
	return gorgonia.Nodes{kernels.Apply(g, in...), nil, nil}, nil
}

// Cost of one launch.
func (Op) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 3 * int64(in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// CPU binds the loss; sums are float64.
func (Op) CPU(l kernels.Launch) func(*cpu.Pool) {
	images := l.In[2].Shape[0]
	pixels := l.In[0].Rows / images
	sums := make([]float64, images)
	image := func(n, _ int) {
		sums[n] = squares(l.In[0], l.In[1], n*pixels, pixels) * float64(l.In[2].Data[n])
	}
	return func(p *cpu.Pool) {
		p.Run(images, image)
		total := 0.0
		for _, s := range sums {
			total += s
		}
		l.Out.Data[0] = float32(total / float64(l.In[0].Shape.TotalSize()))
	}
}

// grad: inputs y, target, weight.
type grad struct{ kernels.Signature }

func (grad) Exact() {}

func (grad) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return s[0].Clone(), nil
}

func (grad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		g := kernels.NewArray(in[0].Shape...)
		per := len(g.Data) / len(in[2].Data)
		for i := range g.Data {
			g.Data[i] = 2 * in[2].Data[i/per] * (in[0].Data[i] - in[1].Data[i]) / float64(len(g.Data))
		}
		return g
	}, v)
}

func (grad) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 2 * int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

func (grad) CPU(l kernels.Launch) func(*cpu.Pool) {
	pixels := l.Out.Rows / l.In[2].Shape[0]
	count := float32(l.Out.Shape.TotalSize())
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, r, n int) {
		for ; n > 0; r, n = r+1, n-1 {
			scale := 2 * l.In[2].Data[r/pixels] / count
			y, target, dy := l.In[0].Row(r), l.In[1].Row(r), l.Out.Row(r)
			for c := range dy {
				dy[c] = scale * (y[c] - target[c])
			}
		}
	})
}

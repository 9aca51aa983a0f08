package loss

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Images returns the error of each image, mean((y[n]−target[n])²) for y and
// target (N,H,W,C), without weights: what adaptive times learn from. It has no
// gradient.
func Images(y, target *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(images{kernels.Signature{Name: "mse of images", Ranks: []int{4, 4}, Rank: 1}}, y, target)
}

type images struct{ kernels.Signature }

func (images) Exact() {}

// Reduces activations to errors.
func (images) Reduces() {}

// InferShape checks that y and target agree.
func (images) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if !s[0].Eq(s[1]) {
		return nil, fmt.Errorf("errors of %v against %v", s[0], s[1])
	}
	return tensor.Shape{s[0][0]}, nil
}

// Do evaluates the reference.
func (images) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := in[0]
		e := kernels.NewArray(y.Shape[0])
		per := len(y.Data) / y.Shape[0]
		for i, v := range y.Data {
			d := v - in[1].Data[i]
			e.Data[i/per] += d * d / float64(per)
		}
		return e
	}, v)
}

// DiffWRT says that nothing has a gradient.
func (images) DiffWRT(n int) []bool { return make([]bool, n) }

func (images) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 3 * int64(in[0].TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// CPU binds the kernel; sums are float64.
func (images) CPU(l kernels.Launch) func(*cpu.Pool) {
	y, target, out := l.In[0], l.In[1], l.Out.Data
	n := l.In[0].Shape[0]
	pixels := y.Rows / n
	image := func(n, _ int) { out[n] = float32(squares(y, target, n*pixels, pixels) / float64(pixels*y.Cols)) }
	return func(p *cpu.Pool) { p.Run(n, image) }
}

// squares is the sum of squared differences of rows.
func squares(y, target kernels.Operand, from, rows int) float64 {
	sum := 0.0
	for r := from; r < from+rows; r++ {
		t := target.Row(r)
		for c, v := range y.Row(r) {
			d := float64(v) - float64(t[c])
			sum += d * d
		}
	}
	return sum
}

// CUDAScratch is none.
func (images) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch: one block an image.
func (images) CUDA(l cuda.Launch) []cuda.Call {
	g := layout(l, l.In[0].Shape[0], l.In[0], l.In[1])
	return []cuda.Call{{
		Module: module, Function: "loss_images" + g.vector, Grid: [3]int{g.images, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.Address, l.In[0].View(), l.In[1].View(), g.pixels, g.channels),
	}}
}

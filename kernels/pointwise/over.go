package pointwise

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// OverPerImage divides every image of x (N,…) by its number of t (N), which has no gradient.
func OverPerImage(x, t *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(over{kernels.Signature{Name: "over per image", Ranks: []int{x.Dims(), 1}, Rank: x.Dims()}}, x, t)
}

type over struct{ kernels.Signature }

func (over) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if x, t := s[0], s[1]; x[0] != t[0] {
		return nil, fmt.Errorf("division of %v by %v: want a number for each image", x, t)
	}
	return s[0].Clone(), nil
}

func (over) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		per := len(y.Data) / in[1].Shape[0]
		for i := range y.Data {
			y.Data[i] = in[0].Data[i] / in[1].Data[i/per]
		}
		return y
	}, v)
}

func (over) DiffWRT(int) []bool { return []bool{true, false} }

func (over) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{OverPerImage(dy, in[1]), nil}, nil
}

func (over) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// TakesBFloat16 says yes; times are float32.
func (over) TakesBFloat16() bool { return true }

func (over) CPU(l kernels.Launch) func(*cpu.Pool) {
	times := l.In[1]
	pixels := l.Out.Rows / times.Shape[0]
	narrow, wide := kernels.View[uint16](l.Out), kernels.View[uint16](l.In[0])
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, from, n int) {
		for r := from; r < from+n; r++ {
			t := times.Data[r/pixels]
			if bf16(l) {
				to := narrow.Row(r)
				for i, x := range wide.Row(r)[:len(to)] {
					to[i] = number.Narrow(number.Widen(x) / t)
				}
				continue
			}
			to := l.Out.Row(r)
			for i, x := range l.In[0].Row(r)[:len(to)] {
				to[i] = x / t
			}
		}
	})
}

// CUDAScratch is none.
func (over) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA launches the division.
func (over) CUDA(l cuda.Launch) []cuda.Call {
	x, y, times := l.In[0], l.Out, l.In[1]
	t := cuda.Over(y, x)
	return []cuda.Call{{
		Module: module, Function: t.Function("pointwise_over_per_image", y.Type), Grid: t.Grid(rowsPerThread), Block: t.Block(),
		Args: cuda.Args(t.View(y), t.View(x), times.Address, t.Rows, t.Cols, y.Rows/times.Shape[0]),
	}}
}

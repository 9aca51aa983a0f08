package linear

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/gemm"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Plain maps x (N,Cin) by w (Cin,Cout), without a bias: what is 0 stays 0.
func Plain(x, w *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(plain{kernels.Signature{Name: "linear.plain", Ranks: []int{2, 2}, Rank: 2}}, x, w)
}

// plain: inputs x, w.
type plain struct{ kernels.Signature }

// Weights are w.
func (plain) Weights() []int { return []int{1} }

func (plain) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if x, w := s[0], s[1]; x[1] != w[0] {
		return nil, fmt.Errorf("linear map of %v by weights %v: want (N,in), (in,out)", x, w)
	}
	return withLast(s[0], s[1][1]), nil
}

func (plain) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array { return product(in[0], in[1], false) }, v)
}

func (plain) DiffWRT(int) []bool { return []bool{true, true} }

func (plain) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	dx := kernels.Apply(inputGrad{kernels.Signature{Name: "linear.dx", Ranks: []int{2, 2}, Rank: 2}}, dy, in[1])
	dw := kernels.Apply(weightGrad{kernels.Signature{Name: "linear.dw", Ranks: []int{2, 2}, Rank: 2}}, in[0], dy)
	return gorgonia.Nodes{dx, dw}, nil
}

func (plain) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost { return cost(out, in, in[1][0]) }

func (plain) Scratch(in []tensor.Shape, _ tensor.Shape, _ int) int {
	return gemm.ProductScratch(1, 1, in[1][0], in[1][1])
}

func (plain) CPU(l kernels.Launch) func(*cpu.Pool) {
	cin, cout := l.In[1].Shape[0], l.In[1].Shape[1]
	return gemm.Product{
		Geometry: gemm.Dense(l.Out.Rows), Depth: cin, Width: cout, In: l.In[0].Matrix, Out: l.Out.Matrix,
		W: gemm.Weights{Data: l.In[1].Data, DepthStride: cout, ColStride: 1}, Scratch: l.Scratch, Threads: l.Threads, Cut: l.Cut,
	}.Bind()
}

func (plain) product(l cuda.Launch) gemm.CUDA {
	return gemm.CUDA{
		Kind: gemm.NN, Walk: walk(l.Out), Depth: l.In[1].Shape[0], Width: l.In[1].Shape[1],
		A: l.In[0], B: l.In[1], Out: l.Out, Scratch: l.Scratch, Card: l.Card,
	}
}

func (p plain) CUDAScratch(l cuda.Launch) int  { return p.product(l).ScratchBytes() }
func (p plain) CUDA(l cuda.Launch) []cuda.Call { return p.product(l).Calls() }

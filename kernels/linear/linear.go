// Package linear is the affine map of the last axis, y = x·w + b, and its gradients.
package linear

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"
	"fluxion/kernels/number"
	"fluxion/kernels/reduce"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Linear maps the last axis of x (…,Cin), rank 2 to 4, by w (Cin,Cout) and b (Cout).
func Linear(x, w, b *gorgonia.Node) *gorgonia.Node {
	r := x.Dims()
	return kernels.Apply(forward{kernels.Signature{Name: "linear", Ranks: []int{r, 2, 1}, Rank: r}}, x, w, b)
}

func rows(s tensor.Shape) int { return s.TotalSize() / s[len(s)-1] }

func withLast(s tensor.Shape, n int) tensor.Shape {
	s = s.Clone()
	s[len(s)-1] = n
	return s
}

// forward: inputs x, w, b.
type forward struct{ kernels.Signature }

// Weights are w.
func (forward) Weights() []int { return []int{1} }

// Stacks says that maps of the same are one to all their channels.
func (forward) Stacks() (wide bool) { return true }

func (forward) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if x, w := s[0], s[1]; x[len(x)-1] != w[0] || w[1] != s[2][0] {
		return nil, fmt.Errorf("linear map of %v by weights %v and bias %v: want (…,in), (in,out), (out)", x, w, s[2])
	}
	return withLast(s[0], s[1][1]), nil
}

func (forward) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := product(in[0], in[1], false)
		for i := range y.Data {
			y.Data[i] += in[2].Data[i%len(in[2].Data)]
		}
		return y
	}, v)
}

func (forward) DiffWRT(int) []bool { return []bool{true, true, true} }

func (forward) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	r := dy.Dims()
	dx := kernels.Apply(inputGrad{kernels.Signature{Name: "linear.dx", Ranks: []int{r, 2}, Rank: r}}, dy, in[1])
	dw := kernels.Apply(weightGrad{kernels.Signature{Name: "linear.dw", Ranks: []int{r, r}, Rank: 2}}, in[0], dy)
	return gorgonia.Nodes{dx, dw, reduce.Rows(dy)}, nil
}

// inputGrad: inputs dy, w.
type inputGrad struct{ kernels.Signature }

// Weights are w.
func (inputGrad) Weights() []int { return []int{1} }

// Stacks says that the gradient of what several maps read is a map of all their gradients.
func (inputGrad) Stacks() (wide bool) { return false }

func (inputGrad) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return withLast(s[0], s[1][0]), nil
}

func (inputGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array { return product(in[0], in[1], true) }, v)
}

// weightGrad: inputs x, dy.
type weightGrad struct{ kernels.Signature }

// Reduces activations to the gradient of weights.
func (weightGrad) Reduces() {}

func (weightGrad) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return tensor.Shape{s[0][len(s[0])-1], s[1][len(s[1])-1]}, nil
}

func (weightGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		x, dy := in[0], in[1]
		cin, cout := x.Shape[len(x.Shape)-1], dy.Shape[len(dy.Shape)-1]
		dw := kernels.NewArray(cin, cout)
		for r := range rows(x.Shape) {
			for i := range cin {
				for j := range cout {
					dw.Data[i*cout+j] += x.Data[r*cin+i] * dy.Data[r*cout+j]
				}
			}
		}
		return dw
	}, v)
}

// product is the reference x·w, or x·wᵀ.
func product(x, w kernels.Array, transposed bool) kernels.Array {
	cin, cout := w.Shape[0], w.Shape[1]
	if transposed {
		cin, cout = cout, cin
	}
	y := kernels.NewArray(withLast(x.Shape, cout)...)
	for r := range rows(x.Shape) {
		for j := range cout {
			for i := range cin {
				at := i*cout + j
				if transposed {
					at = j*cin + i
				}
				y.Data[r*cout+j] += x.Data[r*cin+i] * w.Data[at]
			}
		}
	}
	return y
}

func cost(out tensor.Shape, in []tensor.Shape, depth int) kernels.Cost {
	return kernels.Cost{FLOPs: 2 * int64(out.TotalSize()) * int64(depth), Bytes: kernels.Traffic(out, in...)}
}

func (forward) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return cost(out, in, in[1][0])
}

func (forward) Scratch(in []tensor.Shape, _ tensor.Shape, _ int) int {
	return gemm.ProductScratch(1, 1, in[1][0], in[1][1])
}

// BFloat16Scratch is that of a product of bfloat16.
func (forward) BFloat16Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	return gemm.BF16ProductScratch(1, 1, in[1][0], in[1][1], threads)
}

// Prepared is the weights packed.
func (f forward) Prepared(in []tensor.Shape, out tensor.Shape, activations number.Type, threads int) (floats, scratch int) {
	if activations == number.BFloat16 {
		floats = gemm.BF16ProductPacked(1, in[1][0], in[1][1])
		return floats, f.BFloat16Scratch(in, out, threads) - floats
	}
	floats = gemm.ProductPacked(1, in[1][0], in[1][1])
	return floats, f.Scratch(in, out, threads) - floats
}

func (forward) Fuses() kernels.Epilogue { return kernels.Epilogue{Add: true} }

func (forward) CPU(l kernels.Launch) func(*cpu.Pool) {
	cin, cout := l.In[1].Shape[0], l.In[1].Shape[1]
	packing := gemm.Packing{Packed: l.Prepared, Only: l.Preparing}
	if l.In[0].Type == number.BFloat16 {
		return gemm.BF16Product{
			Geometry: gemm.Dense(l.Out.Rows), Depth: cin, Width: cout,
			In: bf16(l.In[0]), Out: bf16(l.Out), Add: bf16(l.Add),
			W:    gemm.Weights{Data: l.In[1].Data, DepthStride: cout, ColStride: 1},
			Bias: l.In[2].Data[:cout], Packing: packing, Scratch: l.Scratch, Threads: l.Threads, Cut: l.Cut,
		}.Bind()
	}
	return gemm.Product{
		Geometry: gemm.Dense(l.Out.Rows), Depth: cin, Width: cout,
		In: l.In[0].Matrix, Out: l.Out.Matrix,
		W:    gemm.Weights{Data: l.In[1].Data, DepthStride: cout, ColStride: 1},
		Bias: l.In[2].Data[:cout], Add: l.Add.Matrix, Packing: packing, Scratch: l.Scratch, Threads: l.Threads, Cut: l.Cut,
	}.Bind()
}

func (inputGrad) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return cost(out, in, in[1][1])
}

func (inputGrad) Scratch(in []tensor.Shape, _ tensor.Shape, _ int) int {
	return gemm.ProductScratch(1, 1, in[1][1], in[1][0])
}

// BFloat16Scratch is that of a product of bfloat16.
func (inputGrad) BFloat16Scratch(in []tensor.Shape, _ tensor.Shape, threads int) int {
	return gemm.BF16ProductScratch(1, 1, in[1][1], in[1][0], threads)
}

func (inputGrad) Fuses() kernels.Epilogue { return kernels.Epilogue{Add: true} }

func (inputGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	cin, cout := l.In[1].Shape[0], l.In[1].Shape[1]
	if l.In[0].Type == number.BFloat16 {
		return gemm.BF16Product{
			Geometry: gemm.Dense(l.Out.Rows), Depth: cout, Width: cin,
			In: bf16(l.In[0]), Out: bf16(l.Out), Add: bf16(l.Add),
			W:       gemm.Weights{Data: l.In[1].Data, DepthStride: 1, ColStride: cout},
			Scratch: l.Scratch, Threads: l.Threads, Cut: l.Cut,
		}.Bind()
	}
	return gemm.Product{
		Geometry: gemm.Dense(l.Out.Rows), Depth: cout, Width: cin,
		In: l.In[0].Matrix, Out: l.Out.Matrix,
		W:   gemm.Weights{Data: l.In[1].Data, DepthStride: 1, ColStride: cout},
		Add: l.Add.Matrix, Scratch: l.Scratch, Threads: l.Threads, Cut: l.Cut,
	}.Bind()
}

func (weightGrad) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return cost(out, in, rows(in[0]))
}

// BFloat16Scratch is that of a product of bfloat16.
func (weightGrad) BFloat16Scratch(in []tensor.Shape, out tensor.Shape, threads int) int {
	return gemm.BF16TransposedScratch(rows(in[0]), 1, out[0], out[1], threads)
}

func bf16(o kernels.Operand) gemm.BF16 { return gemm.BF16{Data: o.BF16, Pitch: o.Pitch} }

func (weightGrad) CPU(l kernels.Launch) func(*cpu.Pool) {
	if l.In[0].Type == number.BFloat16 {
		return gemm.BF16Transposed{
			Geometry: gemm.Dense(l.In[0].Rows), Depth: l.Out.Shape[0], Width: l.Out.Shape[1],
			In: bf16(l.In[0]), Grad: bf16(l.In[1]), Out: l.Out.Matrix,
			Scratch: l.Scratch, Threads: l.Threads, Cut: l.Cut,
		}.Bind()
	}
	return gemm.Transposed{
		Geometry: gemm.Dense(l.In[0].Rows), Depth: l.Out.Shape[0], Width: l.Out.Shape[1],
		In: l.In[0].Matrix, Grad: l.In[1].Matrix, Out: l.Out.Matrix, Threads: l.Threads, Cut: l.Cut,
	}.Bind()
}

// Package pointwise holds the operations that treat every element alone.
package pointwise

import (
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/reduce"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// sameShape is an operation that takes bfloat16.
type sameShape struct{ kernels.Elementwise }

// TakesBFloat16 says yes.
func (sameShape) TakesBFloat16() bool { return true }

func signature(name string, ranks ...int) sameShape {
	return sameShape{kernels.NewElementwise(name, ranks...)}
}

// Add returns a + b.
func Add(a, b *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(NewAdd(a.Dims()), a, b)
}

// NewAdd returns the addition of tensors of a rank. The plan puts it in place of
// Gorgonia's own, which sums the gradients of a tensor that was used twice.
func NewAdd(rank int) AddOp { return AddOp{signature("add", rank, rank)} }

// AddOp is a + b.
type AddOp struct{ sameShape }

// Do evaluates the reference.
func (AddOp) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		for i := range y.Data {
			y.Data[i] = in[0].Data[i] + in[1].Data[i]
		}
		return y
	}, v)
}

// DiffWRT says that both inputs have a gradient.
func (AddOp) DiffWRT(int) []bool { return []bool{true, true} }

// SymDiff hands the gradient to both inputs.
func (AddOp) SymDiff(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{dy, dy}, nil
}

// AddPerImage adds t (N,C) to every pixel of x (N,…,C).
func AddPerImage(x, t *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(PerImageOp{kernels.Signature{Name: "add per image", Ranks: []int{x.Dims(), 2}, Rank: x.Dims()}}, x, t)
}

// PerImageOp is the addition of AddPerImage.
type PerImageOp struct{ kernels.Signature }

// InferShape checks that t is (N,C) for x (N,…,C).
func (PerImageOp) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	if x, t := s[0], s[1]; x[0] != t[0] || x[len(x)-1] != t[1] {
		return nil, fmt.Errorf("add %v to every pixel of %v: want (N,C)", t, x)
	}
	return s[0].Clone(), nil
}

// Do evaluates the reference.
func (PerImageOp) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		c := in[1].Shape[1]
		per := len(y.Data) / in[1].Shape[0]
		for i := range y.Data {
			y.Data[i] = in[0].Data[i] + in[1].Data[i/per*c+i%c]
		}
		return y
	}, v)
}

// DiffWRT says that both inputs have a gradient.
func (PerImageOp) DiffWRT(int) []bool { return []bool{true, true} }

// SymDiff passes the gradient on, summed over the pixels for t.
func (PerImageOp) SymDiff(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{dy, reduce.Pixels(dy)}, nil
}

// Cost of one launch.
func (PerImageOp) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: int64(out.TotalSize()), Bytes: kernels.Traffic(out, in...)}
}

// Affine returns scale·x + shift, with constant scale and shift.
func Affine(x *gorgonia.Node, scale, shift float64) *gorgonia.Node {
	return kernels.Apply(newAffine(x.Dims(), scale, shift), x)
}

func newAffine(rank int, scale, shift float64) affine {
	return affine{signature(fmt.Sprintf("affine %g %g", scale, shift), rank), scale, shift}
}

// NewZero returns the kernel that makes a tensor of a rank 0, for plans. Its input,
// of the same shape, holds finite numbers.
func NewZero(rank int) kernels.Kernel { return newAffine(rank, 0, 0) }

type affine struct {
	sameShape
	scale, shift float64
}

func (a affine) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		for i, x := range in[0].Data {
			y.Data[i] = a.scale*x + a.shift
		}
		return y
	}, v)
}

func (affine) DiffWRT(int) []bool { return []bool{true} }

func (a affine) SymDiff(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{Affine(dy, a.scale, 0)}, nil
}

// SiLU returns x·sigmoid(x).
func SiLU(x *gorgonia.Node) *gorgonia.Node {
	return kernels.Apply(silu{signature("silu", x.Dims())}, x)
}

type silu struct{ sameShape }

func (silu) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(in[0].Shape...)
		for i, x := range in[0].Data {
			y.Data[i] = x / (1 + math.Exp(-x))
		}
		return y
	}, v)
}

func (silu) DiffWRT(int) []bool { return []bool{true} }

func (silu) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	r := dy.Dims()
	return gorgonia.Nodes{kernels.Apply(siluGrad{signature("silu.dx", r, r)}, in[0], dy)}, nil
}

// siluGrad: inputs x, dy.
type siluGrad struct{ sameShape }

func (siluGrad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		dx := kernels.NewArray(in[0].Shape...)
		for i, x := range in[0].Data {
			s := 1 / (1 + math.Exp(-x))
			dx.Data[i] = in[1].Data[i] * s * (1 + x*(1-s))
		}
		return dx
	}, v)
}

// NewCopy returns the copying of a tensor of a rank, for plans.
func NewCopy(rank int) kernels.Kernel { return copyOp{signature("copy", rank)} }

type copyOp struct{ sameShape }

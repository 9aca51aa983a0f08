// Package attention is scaled dot-product self-attention over the pixels of an
// image, softmax(q·kᵀ/√d)·v for each head, and its gradient.
package attention

import (
	"fmt"
	"math"

	"fluxion/kernels"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Attention attends over the pixels of qkv (N,H,W,3I), which holds queries, keys
// and values side by side, in this many heads of I/heads channels. The result is (N,H,W,I).
func Attention(qkv *gorgonia.Node, heads int) *gorgonia.Node {
	return kernels.Apply(forward{kernels.Signature{Name: fmt.Sprintf("attention %d heads", heads), Ranks: []int{4}, Rank: 4}, heads}, qkv)
}

// size is one attention with all its dimensions.
type size struct{ images, pixels, heads, dim int }

func newSize(qkv tensor.Shape, heads int) size {
	return size{qkv[0], qkv[1] * qkv[2], heads, qkv[3] / 3 / heads}
}

func (s size) inner() int     { return s.heads * s.dim }
func (s size) scale() float64 { return 1 / math.Sqrt(float64(s.dim)) }

// flops of this many T×T×d products for each head.
func (s size) flops(products int) int64 {
	return int64(products) * 2 * int64(s.images*s.heads) * int64(s.pixels) * int64(s.pixels) * int64(s.dim)
}

type forward struct {
	kernels.Signature
	heads int
}

func (f forward) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	x := s[0]
	if x[3]%(3*f.heads) != 0 {
		return nil, fmt.Errorf("attention over %v: channels must be 3 times a multiple of %d heads", x, f.heads)
	}
	return tensor.Shape{x[0], x[1], x[2], x[3] / 3}, nil
}

func (f forward) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array { return reference(in[0], f.heads) }, v)
}

func (forward) DiffWRT(int) []bool { return []bool{true} }

func (f forward) SymDiff(in gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	g := grad{kernels.Signature{Name: fmt.Sprintf("attention.dx %d heads", f.heads), Ranks: []int{4, 4, 4}, Rank: 4}, f.heads}
	return gorgonia.Nodes{kernels.Apply(g, in[0], dy, y)}, nil
}

func (f forward) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: newSize(in[0], f.heads).flops(2), Bytes: kernels.Traffic(out, in...)}
}

// grad is the gradient of qkv; inputs qkv, dy, and the result y, which whoever maps it
// on needs for a gradient of his own anyway.
type grad struct {
	kernels.Signature
	heads int
}

func (grad) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	return s[0].Clone(), nil
}

func (g grad) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array { return referenceGrad(in[0], in[1], g.heads) }, v)
}

func (g grad) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: newSize(in[0], g.heads).flops(5), Bytes: kernels.Traffic(out, in...)}
}

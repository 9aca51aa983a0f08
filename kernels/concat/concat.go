// Package concat joins tensors along their channels and takes ranges of
// channels out again. A plan does both without copying where it can.
package concat

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/pointwise"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Channels joins tensors of equal leading axes along the last.
func Channels(xs ...*gorgonia.Node) *gorgonia.Node {
	rank := xs[0].Dims()
	ranks := make([]int, len(xs))
	for i := range ranks {
		ranks[i] = rank
	}
	return kernels.Apply(Op{kernels.Signature{Name: "concat", Ranks: ranks, Rank: rank}}, xs...)
}

// Op is the concatenation of Channels.
type Op struct{ kernels.Signature }

func last(s tensor.Shape) int { return s[len(s)-1] }

// InferShape adds up the channels.
func (Op) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	out := s[0].Clone()
	for _, x := range s[1:] {
		if !x[:len(x)-1].Eq(out[:len(out)-1]) {
			return nil, fmt.Errorf("concatenation of %v and %v: want equal sizes but for the channels", s[0], x)
		}
		out[len(out)-1] += last(x)
	}
	return out, nil
}

// Do evaluates the reference.
func (Op) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		shape := in[0].Shape.Clone()
		for _, x := range in[1:] {
			shape[len(shape)-1] += last(x.Shape)
		}
		y := kernels.NewArray(shape...)
		width, at := last(shape), 0
		for _, x := range in {
			c := last(x.Shape)
			for i, e := range x.Data {
				y.Data[i/c*width+at+i%c] = e
			}
			at += c
		}
		return y
	}, v)
}

// DiffWRT says that every input has a gradient.
func (o Op) DiffWRT(n int) []bool {
	d := make([]bool, n)
	for i := range d {
		d[i] = true
	}
	return d
}

// SymDiff takes the gradient apart.
func (o Op) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	var grads gorgonia.Nodes
	at := 0
	for _, x := range in {
		c := last(x.Shape())
		grads = append(grads, Slice(dy, at, c))
		at += c
	}
	return grads, nil
}

// Cost is the copy's, if the plan must make one.
func (Op) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{Bytes: kernels.Traffic(out, in...)}
}

// TakesBFloat16 says yes.
func (Op) TakesBFloat16() bool { return true }

// CPU binds the copy.
func (Op) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, r, n int) {
		at := 0
		for _, x := range l.In {
			kernels.Copy(l.Out.Part(r, n, at, x.Cols), x.Part(r, n, 0, x.Cols))
			at += x.Cols
		}
	})
}

// Slice returns channels [from, from+n) of x.
func Slice(x *gorgonia.Node, from, n int) *gorgonia.Node {
	name := fmt.Sprintf("channels %d:%d", from, from+n)
	return kernels.Apply(SliceOp{kernels.Signature{Name: name, Ranks: []int{x.Dims()}, Rank: x.Dims()}, from, n}, x)
}

// SliceOp is the range of channels of Slice.
type SliceOp struct {
	kernels.Signature
	From, N int
}

// InferShape narrows the channels.
func (o SliceOp) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	out := s[0].Clone()
	if o.From+o.N > last(out) {
		return nil, fmt.Errorf("%s of %v", o.Name, out)
	}
	out[len(out)-1] = o.N
	return out, nil
}

// Do evaluates the reference.
func (o SliceOp) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		shape := in[0].Shape.Clone()
		width := last(shape)
		shape[len(shape)-1] = o.N
		y := kernels.NewArray(shape...)
		for i := range y.Data {
			y.Data[i] = in[0].Data[i/o.N*width+o.From+i%o.N]
		}
		return y
	}, v)
}

// DiffWRT says that the input has a gradient.
func (SliceOp) DiffWRT(int) []bool { return []bool{true} }

// SymDiff joins the gradient with zeros for the channels beside the range.
func (o SliceOp) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	var parts []*gorgonia.Node
	zeros := func(from, n int) {
		if n > 0 {
			parts = append(parts, pointwise.Affine(Slice(in[0], from, n), 0, 0))
		}
	}
	zeros(0, o.From)
	parts = append(parts, dy)
	zeros(o.From+o.N, last(in[0].Shape())-o.From-o.N)
	if len(parts) == 1 {
		return parts, nil
	}
	return gorgonia.Nodes{Channels(parts...)}, nil
}

// Cost is the copy's, if the plan must make one.
func (SliceOp) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{Bytes: kernels.Traffic(out, out)}
}

// TakesBFloat16 says yes.
func (SliceOp) TakesBFloat16() bool { return true }

// CPU binds the copy.
func (o SliceOp) CPU(l kernels.Launch) func(*cpu.Pool) {
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, r, n int) {
		kernels.Copy(l.Out.Part(r, n, 0, o.N), l.In[0].Part(r, n, o.From, o.N))
	})
}

// Package reshape reads a tensor as one of other axes: an image as a vector, a vector as
// an image. A plan does it without copying where it can.
package reshape

import (
	"fmt"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/pointwise"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// To returns x with its elements in the same order in another shape. The last axis of one
// of the shapes is a multiple of the other's.
func To(x *gorgonia.Node, shape ...int) *gorgonia.Node {
	name := fmt.Sprintf("reshape to %v", shape)
	return kernels.Apply(Op{kernels.Signature{Name: name, Ranks: []int{x.Dims()}, Rank: len(shape)}, shape}, x)
}

// Op is the reading of To.
type Op struct {
	kernels.Signature
	Shape tensor.Shape
}

func last(s tensor.Shape) int { return s[len(s)-1] }

// InferShape compares the shapes.
func (o Op) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	s, err := kernels.Shapes(in)
	if err != nil {
		return nil, err
	}
	a, b := last(s[0]), last(o.Shape)
	if s[0].TotalSize() != o.Shape.TotalSize() || a%b != 0 && b%a != 0 {
		return nil, fmt.Errorf("reshaping %v to %v: want as many elements, and rows of which one is whole ones of the other", s[0], o.Shape)
	}
	return o.Shape.Clone(), nil
}

// Do evaluates the reference.
func (o Op) Do(v ...gorgonia.Value) (gorgonia.Value, error) {
	return kernels.Evaluate(func(in []kernels.Array) kernels.Array {
		y := kernels.NewArray(o.Shape...)
		copy(y.Data, in[0].Data)
		return y
	}, v)
}

// DiffWRT says that the input has a gradient.
func (Op) DiffWRT(int) []bool { return []bool{true} }

// SymDiff reads the gradient as the input is.
func (Op) SymDiff(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{To(dy, in[0].Shape()...)}, nil
}

// Cost is the copy's, if the plan must make one.
func (Op) Cost(in []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{Bytes: kernels.Traffic(out, in...)}
}

// TakesBFloat16 says yes.
func (Op) TakesBFloat16() bool { return true }

// CPU binds the copy.
func (Op) CPU(l kernels.Launch) func(*cpu.Pool) {
	in, out := l.In[0], l.Out
	if out.Cols > in.Cols {
		parts := out.Cols / in.Cols
		return kernels.RowLoop(out.Matrix, func(_ *cpu.Kernels, from, n int) {
			for r := from * parts; r < (from+n)*parts; r++ {
				kernels.Copy(out.Part(r/parts, 1, r%parts*in.Cols, in.Cols), in.Part(r, 1, 0, in.Cols))
			}
		})
	}
	parts := in.Cols / out.Cols
	return kernels.RowLoop(out.Matrix, func(_ *cpu.Kernels, from, n int) {
		for r := from; r < from+n; r++ {
			kernels.Copy(out.Part(r, 1, 0, out.Cols), in.Part(r/parts, 1, r%parts*out.Cols, out.Cols))
		}
	})
}

// CUDAScratch is none.
func (Op) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA launches a copy of all, or where rows have gaps, one for each of the parts of the
// longer rows.
func (Op) CUDA(l cuda.Launch) []cuda.Call {
	in, out := l.In[0], l.Out
	if in.Pitch == in.Cols && out.Pitch == out.Cols {
		return []cuda.Call{pointwise.Copy(dense(out), dense(in))}
	}
	var calls []cuda.Call
	parts := max(in.Cols, out.Cols) / min(in.Cols, out.Cols)
	for i := range parts {
		if out.Cols > in.Cols {
			calls = append(calls, pointwise.Copy(columns(out, i, parts), rows(in, i, parts)))
		} else {
			calls = append(calls, pointwise.Copy(rows(out, i, parts), columns(in, i, parts)))
		}
	}
	return calls
}

// dense is all of an operand without gaps as one row.
func dense(o cuda.Operand) cuda.Operand {
	o.Cols *= o.Rows
	o.Rows, o.Pitch = 1, o.Cols
	return o
}

// columns is part i of every row.
func columns(o cuda.Operand, i, parts int) cuda.Operand {
	o.Cols /= parts
	return at(o, i*o.Cols)
}

// rows is every so many rows, from i on.
func rows(o cuda.Operand, i, parts int) cuda.Operand {
	pitch := o.Pitch
	o.Rows, o.Pitch = o.Rows/parts, parts*pitch
	return at(o, i*pitch)
}

func at(o cuda.Operand, element int) cuda.Operand {
	if o.Address != 0 {
		o.Address += cuda.Address(element * o.Type.Size())
	}
	return o
}

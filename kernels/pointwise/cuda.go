package pointwise

import (
	_ "embed"
	"fmt"

	"fluxion/kernels/cuda"
)

//go:embed pointwise.ptx.zst
var ptx string

var module = cuda.Register("pointwise", ptx)

const (
	rowsPerThread = 4   // as in pointwise.cu
	blockRows     = 128 // of add_per_image: a block's vector is 1/128 of what it writes, or 1/256 in float32
)

// CUDAScratch of an operation of this package: none.
func (sameShape) CUDAScratch(cuda.Launch) int { return 0 }

// elements launches a kernel over operands of one type, the output first.
func elements(function string, operands []cuda.Operand, more ...any) []cuda.Call {
	return cuda.Elements(module, function, rowsPerThread, operands, more...)
}

// CUDA launches the addition.
func (AddOp) CUDA(l cuda.Launch) []cuda.Call {
	return elements("pointwise_add", []cuda.Operand{l.Out, l.In[0], l.In[1]})
}

func (a affine) CUDA(l cuda.Launch) []cuda.Call {
	return elements("pointwise_affine", []cuda.Operand{l.Out, l.In[0]}, float32(a.scale), float32(a.shift))
}

func (silu) CUDA(l cuda.Launch) []cuda.Call {
	return elements("pointwise_silu", []cuda.Operand{l.Out, l.In[0]})
}

func (siluGrad) CUDA(l cuda.Launch) []cuda.Call {
	return elements("pointwise_silu_grad", []cuda.Operand{l.Out, l.In[0], l.In[1]})
}

// CUDAScratch is none.
func (PerImageOp) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA launches the addition.
func (PerImageOp) CUDA(l cuda.Launch) []cuda.Call {
	x, y, vectors := l.In[0], l.Out, l.In[1]
	t := cuda.Over(y, x)
	shared := 4 * t.Width * t.Vector // of an image
	images := cuda.CutImages(vectors.Rows, y.Rows/vectors.Rows, blockRows, shared)
	return []cuda.Call{{
		Module: module, Function: t.Function("pointwise_add_per_image", y.Type),
		Grid: [3]int{images.Blocks(), t.Columns(), 1}, Block: t.Block(),
		Shared: shared * images.Group,
		Args:   cuda.Args(t.View(y), t.View(x), t.View(vectors), images.Argument(), t.Cols),
	}}
}

func (copyOp) CUDA(l cuda.Launch) []cuda.Call { return []cuda.Call{Copy(l.Out, l.In[0])} }

// Copy launches the copying of a matrix to another of the same shape and type; it
// panics if the types differ (see package cast).
func Copy(to, from cuda.Operand) cuda.Call {
	if to.Type != from.Type {
		panic(fmt.Errorf("copy of %v to %v", from.Type, to.Type))
	}
	t := cuda.OverElements(to, from)
	word := t.Vector * to.Type.Size() // bytes of an access; pitches are in words
	view := func(o cuda.Operand) []byte { return cuda.Args(o.Address, int64(t.Pitch(o)/t.Vector)) }
	return cuda.Call{
		Module: module, Function: fmt.Sprint("pointwise_copy_", word),
		Grid: t.Grid(rowsPerThread), Block: t.Block(),
		Args: cuda.Args(view(to), view(from), t.Rows, t.Cols/t.Vector),
	}
}

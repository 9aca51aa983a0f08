package concat

import (
	"fluxion/kernels/cuda"
	"fluxion/kernels/pointwise"
)

// CUDAScratch is none.
func (Op) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA launches a copy of each part, if the plan must make one.
func (Op) CUDA(l cuda.Launch) []cuda.Call {
	var calls []cuda.Call
	from := 0
	for _, x := range l.In {
		calls = append(calls, pointwise.Copy(channels(l.Out, from, x.Cols), x))
		from += x.Cols
	}
	return calls
}

// CUDAScratch is none.
func (SliceOp) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA launches the copy, if the plan must make one.
func (o SliceOp) CUDA(l cuda.Launch) []cuda.Call {
	return []cuda.Call{pointwise.Copy(l.Out, channels(l.In[0], o.From, o.N))}
}

// channels returns n columns of a matrix.
func channels(o cuda.Operand, from, n int) cuda.Operand {
	o.Address += cuda.Address(from * o.Type.Size())
	o.Cols = n
	return o
}

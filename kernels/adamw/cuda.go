package adamw

import (
	_ "embed"
	"fmt"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
	"fluxion/kernels/row"
)

//go:embed adamw.ptx
var ptx string

var module = cuda.Register("adamw", ptx)

const threads = 256

// ParameterBytes is the size of a step's row, a Row.
func (update) ParameterBytes() int { return row.Bytes[Row](1) }

// PutParameters writes the row of a step.
func (u update) PutParameters(to []byte) { row.Put(to, u.hyper.row()) }

// CUDAScratch is none.
func (update) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch. Buffers are 16-byte aligned; an input behind the norm
// is the bf16 copy of the parameters, which is brought up to date.
func (u update) CUDA(l cuda.Launch) []cuda.Call {
	n := l.Out.Shape.TotalSize()
	var copied cuda.Operand
	if len(l.In) > copyInput {
		copied = l.In[copyInput]
		if copied.Type != number.BFloat16 {
			panic(fmt.Errorf("%v: a copy of the parameters in %v, want bf16", u, copied.Type))
		}
	}
	for i, o := range []cuda.Operand{l.Out, l.In[0], l.In[1], l.In[2], l.In[3], copied} {
		if o.Address%16 != 0 || o.Address == 0 && i < 5 || o.Address != 0 && o.Shape.TotalSize() != n {
			panic(fmt.Errorf("%v: buffer %d of %v at %#x, want %d elements, 16-byte aligned", u, i, o.Shape, uint64(o.Address), n))
		}
	}
	return []cuda.Call{{
		Module: module, Function: "adamw_update", Grid: [3]int{(n + 4*threads - 1) / (4 * threads), 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.Address, l.In[0].Address, l.In[1].Address, l.In[2].Address, l.In[3].Address, copied.Address, l.In[4].Address, int64(n), l.Parameters),
	}}
}

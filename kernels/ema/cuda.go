package ema

import (
	_ "embed"
	"fmt"

	"fluxion/kernels/cuda"
	"fluxion/kernels/optim"
	"fluxion/kernels/row"
)

//go:embed ema.ptx.zst
var ptx string

var module = cuda.Register("ema", ptx)

// Row is the hyperparameters as the kernel takes them: struct Row of ema.cu.
type Row struct {
	Decay float32
	_     uint32
}

// ParameterBytes is the size of a step's row, a Row.
func (update) ParameterBytes() int { return row.Bytes[Row](1) }

// PutParameters writes the row of a step.
func (u update) PutParameters(to []byte) { row.Put(to, Row{Decay: float32(u.hyper.Decay)}) }

// CUDAScratch is none.
func (update) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch. Buffers are 16-byte aligned.
func (u update) CUDA(l cuda.Launch) []cuda.Call {
	n := l.Out.Shape.TotalSize()
	for i, o := range []cuda.Operand{l.Out, l.In[0]} {
		if o.Address%16 != 0 || o.Address == 0 || o.Shape.TotalSize() != n {
			panic(fmt.Errorf("%v: buffer %d of %v at %#x, want %d elements, 16-byte aligned", u, i, o.Shape, uint64(o.Address), n))
		}
	}
	return []cuda.Call{{
		Module: module, Function: "ema_update", Grid: [3]int{(n + 4*optim.Threads - 1) / (4 * optim.Threads), 1, 1}, Block: [3]int{optim.Threads, 1, 1},
		Args: cuda.Args(l.Out.Address, l.In[0].Address, l.In[1].Address, int64(n), l.Parameters),
	}}
}

package ema

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"

	"fluxion/kernels/cuda"
)

//go:embed ema.ptx
var ptx string

var module = cuda.Register("ema", ptx)

const threads = 256

// ParameterBytes is the size of a step's row, struct Row of ema.cu.
func (u update) ParameterBytes() int { return 8 }

// PutParameters writes the row of a step.
func (u update) PutParameters(row []byte) {
	binary.LittleEndian.PutUint64(row, uint64(math.Float32bits(float32(u.hyper.Decay))))
}

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
		Module: module, Function: "ema_update", Grid: [3]int{(n + 4*threads - 1) / (4 * threads), 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.Address, l.In[0].Address, l.In[1].Address, int64(n), l.Parameters),
	}}
}

package embed

import (
	_ "embed"
	"fmt"
	"math"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

//go:embed embed.ptx.zst
var ptx string

var module = cuda.Register("embed", ptx)

const threads = 128

// matrix is struct Matrix of embed.cu.
func matrix(o cuda.Operand) []byte {
	if o.Type != number.Float32 {
		panic(fmt.Errorf("embedding of %v, want fp32", o.Type))
	}
	return cuda.Args(o.Address, uint64(o.Pitch), o.Rows, o.Cols)
}

// call has a thread for each column. Rows are the grid's first number, as there may be many.
func call(function string, cols, rows int, args ...any) []cuda.Call {
	return []cuda.Call{{
		Module: module, Function: function, Args: cuda.Args(args...),
		Grid: [3]int{rows, (cols + threads - 1) / threads, 1}, Block: [3]int{threads, 1, 1},
	}}
}

// CUDAScratch is none.
func (timestep) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch: the angle in turns is turns·t·exp(exponent·k).
func (o timestep) CUDA(l cuda.Launch) []cuda.Call {
	exponent := -math.Log(10000) / (float64(o.o.Dim/2) - o.o.FreqShift)
	cosineFirst := 0
	if o.o.FlipSinToCos {
		cosineFirst = 1
	}
	return call("embed_timestep", o.o.Dim/2, l.Out.Rows, matrix(l.Out), l.In[0].Address,
		math.Float64bits(exponent), math.Float64bits(o.o.Scale/(2*math.Pi)), cosineFirst)
}

// CUDAScratch is none.
func (lookup) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (lookup) CUDA(l cuda.Launch) []cuda.Call {
	return call("embed_lookup", l.Out.Cols, l.Out.Rows, matrix(l.Out), matrix(l.In[0]), l.In[1].Address)
}

// CUDAScratch is none.
func (lookupGrad) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (lookupGrad) CUDA(l cuda.Launch) []cuda.Call {
	return call("embed_lookup_grad", l.Out.Cols, l.Out.Rows, matrix(l.Out), matrix(l.In[1]), l.In[0].Address)
}

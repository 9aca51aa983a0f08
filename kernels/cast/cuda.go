package cast

import (
	_ "embed"
	"fmt"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

//go:embed cast.ptx.zst
var ptx string

var module = cuda.Register("cast", ptx)

const threads = 256

// CUDAScratch is none.
func (Op) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch. A thread takes 4 elements where addresses and pitches
// allow it, which are 16 bytes on one side and 8 on the other.
func (Op) CUDA(l cuda.Launch) []cuda.Call {
	from, to := l.In[0], l.Out
	var function string
	switch {
	case from.Type == number.Float32 && to.Type == number.BFloat16:
		function = "cast_bf16_f32"
	case from.Type == number.BFloat16 && to.Type == number.Float32:
		function = "cast_f32_bf16"
	default:
		panic(fmt.Sprintf("cast from %v to %v", from.Type, to.Type))
	}
	flat := cuda.Flat(from, to)
	from, to = flat[0], flat[1]
	n := 1
	if cuda.Vectors(4, from, to) {
		n = 4
		function += "_vector"
	}
	groups, perRow := to.Rows*to.Cols/n, to.Cols/n
	if to.Rows == 1 {
		perRow = 0
	}
	return []cuda.Call{{
		Module: module, Function: function, Grid: [3]int{(groups + threads - 1) / threads, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(to.Address, from.Address, uint64(to.Pitch), uint64(from.Pitch), uint64(groups), perRow),
	}}
}

package feed

import (
	_ "embed"

	"fluxion/kernels/cuda"
)

//go:embed feed.ptx.zst
var ptx string

var module = cuda.Register("feed", ptx)

// CUDAScratch is none.
func (*Vector) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch that copies the step's row.
func (v *Vector) CUDA(l cuda.Launch) []cuda.Call {
	const threads = 128
	n := len(v.Values)
	return []cuda.Call{{
		Module: module, Function: "feed_vector", Grid: [3]int{(n + threads - 1) / threads, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.Address, n, l.Parameters),
	}}
}

// Advance returns the launch that ends a step: it adds one to the device's step
// counter (Parameters.Counter), so that the next step reads the next row.
func Advance(counter cuda.Address) cuda.Call {
	return cuda.Call{Module: module, Function: "feed_advance", Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}, Args: cuda.Args(counter)}
}

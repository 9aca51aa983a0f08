package adamw

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/optim"
	"fluxion/kernels/row"
)

//go:embed adamw.ptx
var ptx string

var module = cuda.Register("adamw", ptx)

// ParameterBytes is the size of a step's row, a Row.
func (update) ParameterBytes() int { return row.Bytes[Row](1) }

// PutParameters writes the row of a step.
func (u update) PutParameters(to []byte) { row.Put(to, u.hyper.row()) }

// CUDAScratch is none.
func (update) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (u update) CUDA(l cuda.Launch) []cuda.Call {
	return optim.Launch(u, module, "adamw_update", l, normInput, copyInput)
}

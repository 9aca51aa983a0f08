package magnitude

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"

	"gorgonia.org/tensor"
)

// Matrix is weights of a flat buffer, row by row, and how many of their rows count in the size of
// a column.
type Matrix struct{ Offset, Rows, Columns, Counted int }

// Forced divides the columns of matrices by their root mean square, as Weight does, where they lie:
// EDM2's forced weight normalisation (section 2.3), behind a step. Its output is the flat
// parameters, which are changed in place; there are no inputs.
func Forced(matrices []Matrix) kernels.Kernel {
	return forced{kernels.Signature{Name: "forced unit weights", Rank: 1}, matrices}
}

type forced struct {
	kernels.Signature
	matrices []Matrix
}

func (f forced) Cost([]tensor.Shape, tensor.Shape) (c kernels.Cost) {
	for _, m := range f.matrices {
		n := int64(m.Rows * m.Columns)
		c.FLOPs, c.Bytes = c.FLOPs+3*n, c.Bytes+4*2*n
	}
	return c
}

func (f forced) CPU(l kernels.Launch) func(*cpu.Pool) {
	var all []func(*cpu.Pool)
	for _, m := range f.matrices {
		w := cpu.Matrix{Data: l.Out.Data[m.Offset:], Rows: m.Rows, Cols: m.Columns, Pitch: m.Columns}
		all = append(all, columns{1, m.Counted}.divide(w, w))
	}
	return func(p *cpu.Pool) {
		for _, run := range all {
			run(p)
		}
	}
}

// CUDAScratch is none.
func (forced) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns a launch for each matrix.
func (f forced) CUDA(l cuda.Launch) (calls []cuda.Call) {
	for _, m := range f.matrices {
		w := cuda.Args(l.Out.Address+cuda.Address(4*m.Offset), int64(m.Columns))
		calls = append(calls, overColumns("magnitude_weight", m.Columns, w, w, m.Rows, m.Columns, m.Counted, float32(1)))
	}
	return calls
}

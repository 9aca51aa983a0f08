// Package spread is the kernel for sampling with a learnt variance: it gives the noise of a step the
// deviation that the network says of each value.
//
//	ξ ← ξ e^{s(1+v)}
//
// v is what the network gives beside its output, from −1 for the least variance of a step to 1 for
// the largest, whose logarithm is larger by 4s (A. Nichol, P. Dhariwal, "Improved Denoising Diffusion
// Probabilistic Models", 2021, equation 15).
package spread

import (
	_ "embed"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/row"

	"gorgonia.org/tensor"
)

// Row is the number that changes from step to step: struct Row of spread.cu.
type Row struct {
	Rate float32 // s; 0 leaves the noise as it is
	_    uint32
}

// Op is the spread of the noise of a batch, its output, in place. Its input is v of as many images,
// or, under guidance, of twice as many, of which the first count: those with their class.
type Op struct {
	kernels.Signature
	row *Row
}

// New returns the kernel. Every run reads the row anew.
func New(r *Row) Op { return Op{kernels.Signature{Name: "spread"}, r} }

// Cost of one launch; an exponential counts as 20 operations.
func (Op) Cost(_ []tensor.Shape, out tensor.Shape) kernels.Cost {
	return kernels.Cost{FLOPs: 22 * int64(out.TotalSize()), Bytes: 12 * int64(out.TotalSize())}
}

// CPU binds the kernel.
func (k Op) CPU(l kernels.Launch) func(*cpu.Pool) {
	v := l.In[0]
	return kernels.RowLoop(l.Out.Matrix, func(_ *cpu.Kernels, r, n int) {
		if k.row.Rate == 0 {
			return
		}
		for ; n > 0; r, n = r+1, n-1 {
			of := v.Row(r)
			for c, e := range l.Out.Row(r) {
				l.Out.Row(r)[c] = float32(float64(e) * math.Exp(float64(k.row.Rate)*(1+float64(of[c]))))
			}
		}
	})
}

//go:embed spread.ptx.zst
var ptx string

var module = cuda.Register("spread", ptx)

const threads = 256

// ParameterBytes is the size of a step's row.
func (Op) ParameterBytes() int { return row.Bytes[Row](1) }

// PutParameters writes the row of a step.
func (k Op) PutParameters(to []byte) { row.Put(to, *k.row) }

// CUDAScratch is none.
func (Op) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch: a thread a value.
func (Op) CUDA(l cuda.Launch) []cuda.Call {
	values := l.Out.Rows * l.Out.Cols
	return []cuda.Call{{
		Module: module, Function: "spread", Grid: [3]int{(values + threads - 1) / threads, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.View(), l.In[0].View(), l.Out.Rows, l.Out.Cols, l.Parameters),
	}}
}

// Package optim is what the kernels of all optimizers have in common: clipping by
// the gradients' norm, and one pass over flat buffers. Each has a folder of its own.
package optim

import (
	"fmt"
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

// Clip is what happens to gradients first.
type Clip struct {
	Scale float64 // multiplies them: 1/(micro-batches)
	Norm  float64 // largest norm of the scaled gradients; 0 does not clip
}

// Factor is what the raw gradients are multiplied by, given their norm. It is not ok if
// the norm is not finite: then the step changes nothing.
func (c Clip) Factor(norm float64) (factor float64, ok bool) {
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return 0, false
	}
	if n := norm * c.Scale; c.Norm > 0 && n > c.Norm {
		return c.Scale * c.Norm / n, true
	}
	return c.Scale, true
}

// Block is the floats of one task, and Threads those of a block on CUDA devices, each of
// which has four elements: as in optim.cuh.
const (
	Block   = 1 << 16
	Threads = 256
)

// Part is the numbers of a task in a flat buffer.
func Part(o kernels.Operand, task int) []float32 {
	n := o.Shape.TotalSize()
	return o.Data[task*Block : min((task+1)*Block, n)]
}

// Run does every task of n floats.
func Run(p *cpu.Pool, n int, task func(i, worker int)) { p.Run((n+Block-1)/Block, task) }

// Launch is that of a function over flat buffers, the parameters first, with the
// gradients' norm. Input copied, if there is one, is the bf16 copy of the parameters,
// which is brought up to date. Buffers are 16-byte aligned.
func Launch(kernel fmt.Stringer, module *cuda.Module, function string, l cuda.Launch, norm, copied int) []cuda.Call {
	n := l.Out.Shape.TotalSize()
	flat := append([]cuda.Operand{l.Out}, l.In[:norm]...)
	var to cuda.Operand
	if len(l.In) > copied {
		if to = l.In[copied]; to.Type != number.BFloat16 {
			panic(fmt.Errorf("%v: a copy of the parameters in %v, want bf16", kernel, to.Type))
		}
	}
	var args []any
	for i, o := range append(flat, to) {
		if o.Address%16 != 0 || o.Address == 0 && i < len(flat) || o.Address != 0 && o.Shape.TotalSize() != n {
			panic(fmt.Errorf("%v: buffer %d of %v at %#x, want %d elements, 16-byte aligned", kernel, i, o.Shape, uint64(o.Address), n))
		}
		args = append(args, o.Address)
	}
	return []cuda.Call{{
		Module: module, Function: function, Grid: [3]int{(n + 4*Threads - 1) / (4 * Threads), 1, 1}, Block: [3]int{Threads, 1, 1},
		Args: cuda.Args(append(args, l.In[norm].Address, int64(n), l.Parameters)...),
	}}
}

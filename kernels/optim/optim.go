// Package optim is what the kernels of all optimizers have in common: clipping by
// the gradients' norm, and one pass over flat buffers. Each has a folder of its own.
package optim

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
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

// Correction is 1/(1−βⁿ), by which Adam's moments of n steps are divided.
func Correction(beta float64, n int64) float64 { return 1 / (1 - math.Pow(beta, float64(n))) }

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

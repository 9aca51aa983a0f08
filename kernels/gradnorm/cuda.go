package gradnorm

import (
	_ "embed"
	"fmt"

	"fluxion/kernels/cuda"
)

//go:embed gradnorm.ptx.zst
var ptx string

var module = cuda.Register("gradnorm", ptx)

const threads = 512

// CUDAScratch is one float64 a block.
func (norm) CUDAScratch(l cuda.Launch) int { return 8 * Blocks(l.In[0].Shape.TotalSize()) }

// CUDA returns the two stages. The gradients are 16-byte aligned.
func (n norm) CUDA(l cuda.Launch) []cuda.Call {
	return []cuda.Call{partial(l.Scratch, l.In[0]), rootOf(l.Out.Address, l.Scratch, Blocks(l.In[0].Shape.TotalSize()))}
}

func partial(sums cuda.Address, g cuda.Operand) cuda.Call {
	if g.Address%16 != 0 {
		panic(fmt.Errorf("gradients at %#x, want a multiple of 16", uint64(g.Address)))
	}
	n := g.Shape.TotalSize()
	return cuda.Call{Module: module, Function: "gradnorm_partial", Grid: [3]int{Blocks(n), 1, 1}, Block: [3]int{threads, 1, 1}, Args: cuda.Args(sums, g.Address, int64(n))}
}

func rootOf(norm, sums cuda.Address, n int) cuda.Call {
	return cuda.Call{Module: module, Function: "gradnorm_root", Grid: [3]int{1, 1, 1}, Block: [3]int{threads, 1, 1}, Args: cuda.Args(norm, sums, n)}
}

func (parts) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the first stage.
func (parts) CUDA(l cuda.Launch) []cuda.Call { return []cuda.Call{partial(l.Out.Address, l.In[0])} }

func (whole) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the second stage.
func (whole) CUDA(l cuda.Launch) []cuda.Call {
	return []cuda.Call{rootOf(l.Out.Address, l.In[0].Address, l.In[0].Shape.TotalSize()/SumFloats)}
}

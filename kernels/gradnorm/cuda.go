package gradnorm

import (
	_ "embed"
	"fmt"

	"fluxion/kernels/cuda"
)

//go:embed gradnorm.ptx.zst
var ptx string

var module = cuda.Register("gradnorm", ptx)

const (
	threads   = 256
	maxBlocks = 512 // partial sums: as many whatever the GPU, so that their order is the same; all of them fit at once
)

func blocks(l cuda.Launch) int {
	return min(maxBlocks, (l.In[0].Shape.TotalSize()+4*threads-1)/(4*threads))
}

// CUDAScratch is one float64 a block.
func (norm) CUDAScratch(l cuda.Launch) int { return 8 * blocks(l) }

// CUDA returns the two stages. The gradients are 16-byte aligned.
func (n norm) CUDA(l cuda.Launch) []cuda.Call {
	g := l.In[0]
	if g.Address%16 != 0 {
		panic(fmt.Errorf("%v: gradients at %#x, want a multiple of 16", n, uint64(g.Address)))
	}
	partial, root := [3]int{blocks(l), 1, 1}, [3]int{1, 1, 1}
	block := [3]int{threads, 1, 1}
	return []cuda.Call{
		{Module: module, Function: "gradnorm_partial", Grid: partial, Block: block, Args: cuda.Args(l.Scratch, g.Address, int64(g.Shape.TotalSize()))},
		{Module: module, Function: "gradnorm_root", Grid: root, Block: block, Args: cuda.Args(l.Out.Address, l.Scratch, partial[0])},
	}
}

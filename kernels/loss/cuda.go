package loss

import (
	_ "embed"
	"fmt"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

//go:embed loss.ptx.zst
var ptx string

var module = cuda.Register("loss", ptx)

const (
	threads = 256
	span    = 8 * threads // values of a block
)

// geometry of a launch over y and target, which may have a pitch each.
type geometry struct {
	images, pixels, channels int
	vector                   string // suffix of the functions
	grid                     [3]int
}

func layout(l cuda.Launch, images int, matrices ...cuda.Operand) geometry {
	g := geometry{images: images, channels: l.In[0].Cols}
	g.pixels = l.In[0].Rows / g.images
	values := g.pixels * g.channels
	g.grid = cuda.Spans(g.images, values, span)
	g.vector = "_vector"
	for _, m := range matrices {
		if m.Type != number.Float32 {
			panic(fmt.Errorf("loss of %v operands, want fp32", m.Type))
		}
		if m.Pitch != m.Cols || m.Address%16 != 0 || values%4 != 0 {
			g.vector = ""
		}
	}
	return g
}

// args is struct Launch of loss.cu.
func (g geometry) args(l cuda.Launch) []byte {
	scale := 2 / float32(g.images*g.pixels*g.channels)
	return cuda.Args(l.In[0].View(), l.In[1].View(), l.In[2].Address, g.pixels, g.channels, span, scale)
}

// CUDAScratch is one float64 a block.
func (Op) CUDAScratch(l cuda.Launch) int {
	g := layout(l, l.In[2].Shape[0])
	return 8 * g.grid[0]
}

// CUDA returns the two stages of the loss; sums are float64.
func (Op) CUDA(l cuda.Launch) []cuda.Call {
	g := layout(l, l.In[2].Shape[0], l.In[0], l.In[1])
	block := [3]int{threads, 1, 1}
	return []cuda.Call{
		{Module: module, Function: "loss_partial" + g.vector, Grid: g.grid, Block: block, Args: cuda.Args(l.Scratch, g.args(l))},
		{Module: module, Function: "loss_mean", Grid: [3]int{1, 1, 1}, Block: block,
			Args: cuda.Args(l.Out.Address, l.Scratch, g.grid[0], int64(g.images*g.pixels*g.channels))},
	}
}

// CUDAScratch is none.
func (grad) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch of the gradient.
func (grad) CUDA(l cuda.Launch) []cuda.Call {
	g := layout(l, l.In[2].Shape[0], l.In[0], l.In[1], l.Out)
	return []cuda.Call{{
		Module: module, Function: "loss_grad" + g.vector, Grid: g.grid, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.View(), g.args(l)),
	}}
}

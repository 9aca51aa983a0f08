package colour

import (
	_ "embed"

	"fluxion/kernels/cuda"
)

//go:embed colour.ptx.zst
var ptx string

var module = cuda.Register("colour", ptx)

// CUDAScratch is a plane of each image's channels.
func (k Op) CUDAScratch(cuda.Launch) int { return 4 * k.images * k.values() }

// CUDA returns the launch: a block a channel of an image.
func (k Op) CUDA(l cuda.Launch) []cuda.Call {
	const threads = 256
	return []cuda.Call{{
		Module: module, Function: "colour_images", Grid: [3]int{k.images * k.channels, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(l.Out.View(), l.Scratch, k.Height, k.Width, k.channels, l.Parameters),
	}}
}

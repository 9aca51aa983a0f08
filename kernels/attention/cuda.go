package attention

import (
	"cmp"
	_ "embed"
	"math"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

//go:embed attention.ptx.zst
var ptx string

var module = cuda.Register("attention", ptx)

// As in tiles.cuh.
const (
	tile       = 64       // rows that a block streams at a time, and owns where there are enough of them
	narrow     = 16       // or else, in bf16
	width      = 256      // channels of a head that it computes at most
	chunkBytes = 16 << 10 // of shared memory, twice
)

// onGPU is one attention on the GPU. No scores are in memory: blocks make those of their rows on the way.
type onGPU struct {
	size
	qkv, dy, y, out cuda.Operand
	sums, dots      cuda.Address // of each query
	card            cuda.Card
}

// own is the rows of a block. Fewer of them keep more multiprocessors busy where there are few rows, at a cost: all
// others are streamed past every block. A row's bits are the same either way.
func (g onGPU) own() int {
	const usual, cost = 132, 1.5 // multiprocessors where no card is known; time of a row in a narrow block, over that in another
	if g.qkv.Type != number.BFloat16 {
		return tile
	}
	processors := cmp.Or(g.card.Multiprocessors, usual)
	rounds := func(own int) int { return ceil(g.images*g.heads*ceil(g.pixels, own), processors) }
	if cost*narrow*float64(rounds(narrow)) < tile*float64(rounds(tile)) {
		return narrow
	}
	return tile
}

// call is a launch with a block for so many rows of each head of each image. It uses so many squares of shared memory,
// and floats for numbers of each row.
func (g onGPU) call(function string, squares, numbers int, wanted bool) cuda.Call {
	of := g.qkv.Type
	own, threads := g.own(), 256
	tiles := ceil(g.pixels, own)
	name := map[number.Type]string{number.Float32: "_f32", number.BFloat16: "_bf16"}[of]
	if own == narrow {
		name, threads = "_16"+name, 128
	}
	across, all := 1, 0
	if wanted {
		across, all = ceil(g.dim, width), 1
	}
	return cuda.Call{
		Module: module, Function: "attention_" + function + name,
		Grid: [3]int{g.images * g.heads * tiles, across, 1}, Block: [3]int{threads, 1, 1},
		Shared: 2*chunkBytes + squares*own*tile*of.Size() + 4*numbers*own,
		Args: cuda.Args(g.view(g.qkv), g.view(g.dy), g.view(g.y), g.view(g.out), g.sums, g.dots,
			float32(g.scale()), float32(g.scale()*math.Log2E), g.pixels, g.heads, g.dim, tiles, all, 0), // as C pads it
	}
}

// view is struct View of tiles.cuh.
func (g onGPU) view(o cuda.Operand) []byte {
	n := 16 / o.Type.Size()
	vectors := 0
	if g.dim%n == 0 && cuda.Vectors(n, o) {
		vectors = 1
	}
	return cuda.Args(o.Address, o.Pitch, vectors)
}

// result is the launch of the forward pass, which leaves the sums; without out it makes nothing else.
func (g onGPU) result(wanted bool) cuda.Call {
	numbers := 0
	if g.qkv.Type == number.BFloat16 {
		numbers = 8 // maxima and sums by four warps
	}
	return g.call("forward", 1, numbers, wanted)
}

func (forward) CUDAScratch(cuda.Launch) int { return 0 }

func (f forward) CUDA(l cuda.Launch) []cuda.Call {
	g := onGPU{size: newSize(l.In[0].Shape, f.heads), qkv: l.In[0], out: l.Out, sums: l.Partials.Address, card: l.Card}
	return []cuda.Call{g.result(true)}
}

// CUDALeaves the sums.
func (f forward) CUDALeaves(l cuda.Launch) int { return 4 * newSize(l.In[0].Shape, f.heads).queries() }

// CUDATakes the sums, of whose softmax the result is.
func (grad) CUDATakes() int { return 2 }

// CUDAScratch holds the dots, and the sums if the forward pass has left none.
func (o grad) CUDAScratch(l cuda.Launch) int {
	n := 4 * newSize(l.In[0].Shape, o.heads).queries()
	if l.Partials.Chunks == 0 {
		n *= 2
	}
	return n
}

// CUDA computes rows of the gradient in two launches, of those of queries and of those of keys and values, so that
// each sum is made by one block.
func (o grad) CUDA(l cuda.Launch) []cuda.Call {
	g := onGPU{size: newSize(l.In[0].Shape, o.heads), qkv: l.In[0], dy: l.In[1], y: l.In[2], out: l.Out, sums: l.Partials.Address, dots: l.Scratch, card: l.Card}
	var calls []cuda.Call
	if l.Partials.Chunks == 0 {
		g.sums = g.dots + cuda.Address(4*g.queries())
		calls = append(calls, g.result(false))
	}
	return append(calls, g.call("queries", 1, 2, true), g.call("keys", 2, 0, true))
}

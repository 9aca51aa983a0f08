package draw

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/row"
)

//go:embed draw.ptx
var ptx string

var module = cuda.Register("draw", ptx)

const (
	threads     = 128
	blockValues = 8 * threads // values of a block, about: what it reads of the row is little beside them
	maxShared   = 47 << 10    // of dynamic shared memory, without asking for more
)

// The row of a Pair: a Head, an Image for each, and unless the data set is resident
// the batch's pixels, where a sector of memory may begin.

// ParameterBytes is the size of a step's row.
func (k Pair) ParameterBytes() int {
	if k.Resident {
		return k.pixelsFrom()
	}
	return k.pixelsFrom() + k.Images*k.Values()
}

// pixelsFrom is where they begin in a row.
func (k Pair) pixelsFrom() int {
	return (row.Bytes[Head](1) + row.Bytes[Image](k.Images) + 63) / 64 * 64
}

// PutParameters writes the row of a step.
func (k Pair) PutParameters(to []byte) {
	if err := k.checkBatch(); err != nil {
		panic(err)
	}
	row.Put(row.Put(to, k.batch.Head), k.batch.Images...)
	if !k.Resident {
		row.Put(to[k.pixelsFrom():], k.batch.Pixels[:k.Images*k.Values()]...)
	}
}

// CUDAScratch is none.
func (Pair) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (k Pair) CUDA(l cuda.Launch) []cuda.Call {
	if err := k.checkBatch(); err != nil {
		panic(err)
	}
	var set cuda.Address
	if k.Resident {
		set = l.In[2].Address
	}
	// Rows of a mirrored image stay together; else an image is one row.
	width := k.Pixels
	if k.Flips {
		width = k.Width
	}
	row := width * k.Channels
	function, span, shared := "draw_pair", blockValues, 0
	views, dense := k.Views(l.Out, l.In[0])
	if dense && row%4 == 0 && set%4 == 0 && (!k.Flips || row <= maxShared) {
		function = "draw_pair_vector"
		if k.Flips {
			rows := k.Pixels / width
			blocks := ceil(rows, max(1, blockValues/row))
			span = ceil(rows, blocks) * row
			shared = span
		}
	}
	args := cuda.Args(views, l.In[1].Address, set, uint64(k.pixelsFrom()), k.Pixels, k.Channels, width, span)
	return []cuda.Call{k.call(function, span, shared, args, l.Parameters)}
}

// The row of a Start: a Head, and the number of each image.

// ParameterBytes is the size of a batch's row.
func (k Start) ParameterBytes() int { return row.Bytes[Head](1) + row.Bytes[int64](k.Images) }

// PutParameters writes the row of a batch.
func (k Start) PutParameters(to []byte) { row.Put(row.Put(to, *k.head), k.images...) }

// CUDAScratch is none.
func (Start) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch, which writes both halves of a guided network's batch.
func (k Start) CUDA(l cuda.Launch) []cuda.Call {
	if err := k.checkImages(); err != nil {
		panic(err)
	}
	function := "draw_start"
	views, dense := k.Views(k.HalvesCUDA(l.Out, k.Guided))
	if dense {
		function = "draw_start_vector"
	}
	args := cuda.Args(views, k.Pixels, k.Channels, blockValues, 0)
	return []cuda.Call{k.call(function, blockValues, 0, args, l.Parameters)}
}

func ceil(n, d int) int { return (n + d - 1) / d }

// call is one block for every span of values of every image.
func (s Shape) call(function string, span, shared int, args []byte, p cuda.Parameters) cuda.Call {
	return cuda.Call{
		Module: module, Function: function, Shared: shared, Args: cuda.Args(args, p),
		Grid: [3]int{ceil(s.Values(), span), s.Images, 1}, Block: [3]int{threads, 1, 1},
	}
}

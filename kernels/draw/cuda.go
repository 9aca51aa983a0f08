package draw

import (
	_ "embed"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
	"fluxion/kernels/row"
)

//go:embed draw.ptx.zst
var ptx string

var module = cuda.Register("draw", ptx)

const (
	threads     = 128
	blockValues = 8 * threads // values of a block, about: what it reads of the row is little beside them
	maxShared   = 47 << 10    // of dynamic shared memory, without asking for more
)

// The row of a Data: an Image for each, and unless the data set is resident the batch's
// pixels, where a sector of memory may begin.

// ParameterBytes is the size of a step's row.
func (k Data) ParameterBytes() int {
	if k.Resident {
		return k.pixelsFrom()
	}
	return k.pixelsFrom() + k.Images*k.Values()*k.Stored.Size()
}

// pixelsFrom is where they begin in a row.
func (k Data) pixelsFrom() int { return (row.Bytes[Image](k.Images) + 63) / 64 * 64 }

// PutParameters writes the row of a step.
func (k Data) PutParameters(to []byte) {
	if err := k.checkBatch(); err != nil {
		panic(err)
	}
	row.Put(to, k.batch.Images...)
	switch n := k.Images * k.Values(); {
	case k.Resident:
	case k.Stored == number.Float32:
		row.Put(to[k.pixelsFrom():], k.batch.Floats[:n]...)
	default:
		row.Put(to[k.pixelsFrom():], k.batch.Bytes[:n]...)
	}
}

// CUDAScratch is none.
func (Data) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch.
func (k Data) CUDA(l cuda.Launch) []cuda.Call {
	if err := k.checkBatch(); err != nil {
		panic(err)
	}
	var set cuda.Address
	if k.Resident {
		set = l.In[0].Address
	}
	// Rows of a mirrored image stay together; else an image is one row.
	width := k.Pixels
	if k.Flips {
		width = k.Width
	}
	row := width * k.Channels
	function, span, shared := "draw_bytes", blockValues, 0
	if k.Stored == number.Float32 {
		function = "draw_floats"
	}
	views, dense := k.Views(l.Out)
	pixel := k.Stored.Size()
	if dense && row%4 == 0 && set%cuda.Address(4*pixel) == 0 && (!k.Flips || row*pixel <= maxShared) {
		function += "_vector"
		if k.Flips {
			rows := k.Pixels / width
			blocks := ceil(rows, max(1, blockValues/row))
			span = ceil(rows, blocks) * row
			shared = span * pixel
		}
	}
	args := cuda.Args(views, set, uint64(k.pixelsFrom()), k.Pixels, k.Channels, width, span)
	return []cuda.Call{k.call(function, span, shared, args, l.Parameters)}
}

// The row of a Noise: a Head, and the address of each image.

// ParameterBytes is the size of a batch's row.
func (k Noise) ParameterBytes() int { return row.Bytes[Head](1) + row.Bytes[int64](k.Images) }

// PutParameters writes the row of a batch.
func (k Noise) PutParameters(to []byte) { row.Put(row.Put(to, *k.head), k.addresses...) }

// CUDAScratch is none.
func (Noise) CUDAScratch(cuda.Launch) int { return 0 }

// CUDA returns the launch, which writes both halves of a guided network's batch.
func (k Noise) CUDA(l cuda.Launch) []cuda.Call {
	if err := k.checkAddresses(); err != nil {
		panic(err)
	}
	function := functions[k.Of]
	views, dense := k.Views(k.HalvesCUDA(l.Out, k.Guided))
	if dense {
		function += "_vector"
	}
	args := cuda.Args(views, k.Pixels, k.Channels, blockValues, k.Stream)
	return []cuda.Call{k.call(function, blockValues, 0, args, l.Parameters)}
}

func ceil(n, d int) int { return (n + d - 1) / d }

// call is one block for every span of values of every image.
func (s Shape) call(function string, span, shared int, args []byte, p cuda.Parameters) cuda.Call {
	return cuda.Call{
		Module: module, Function: function, Shared: shared, Args: cuda.Args(args, p),
		Grid: cuda.Spans(s.Images, s.Values(), span), Block: [3]int{threads, 1, 1},
	}
}

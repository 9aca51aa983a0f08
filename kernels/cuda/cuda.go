// Package cuda is the interface between operators and a GPU: an operator is given the
// device addresses of its operands and returns the launches of PTX functions that compute
// it. It is plain Go and needs no driver. The launches are executed by the simulator
// (package sim) or by NVIDIA's driver (package driver, build tag gpu).
package cuda

import (
	"encoding/binary"
	"fmt"
	"math"

	"fluxion/kernels/number"

	"gorgonia.org/tensor"
)

// Address is a place in device memory; 0 is none.
type Address uint64

// Operand is a tensor at its device address: Rows rows of Cols elements, Pitch
// elements apart, as in package kernels.
type Operand struct {
	Address           Address
	Type              number.Type
	Shape             tensor.Shape
	Rows, Cols, Pitch int
}

// Parameters are the numbers of a launch that change from step to step: a table
// in device memory with one row a step. Kernels read the row that the device's
// step counter (an uint32 at Counter) points at, so a captured graph never
// needs an update:
//
//	row = Table + Stride·(*Counter)
type Parameters struct {
	Table   Address
	Stride  int // bytes, a multiple of 16
	Counter Address
}

// Launch is the operands of one operator.
type Launch struct {
	In  []Operand
	Out Operand

	Card   Card // to cut it for
	Trains bool // no picture depends on the order of its sums

	// What the plan fused behind the operator; Address is 0 where nothing was.
	Add      Operand  // same shape and type as Out
	PerImage Operand  // (images, channels), float32
	Partials Partials // what a Measurer leaves of Out, or a Measured takes of In[0]; or a Leaver and a Taker

	Scratch    Address // as many bytes as CUDAScratch asked for, 256-aligned; contents undefined
	Parameters Parameters
}

// Partials are statistics of a tensor (N,H,W,C) whose channels form groups, left
// behind by the kernel that made it. For each image, for each of Chunks sets of its
// pixels that together are the image, there are three float32 vectors with an
// element for each group:
//
//	count, mean, Σ(x − mean)²   of the group's values in the chunk
//
// that is, [images][chunks][3][groups].
type Partials struct {
	Address        Address // 0: none
	Groups, Chunks int
}

// Bytes is the size of the partials of so many images.
func (p Partials) Bytes(images int) int { return 12 * images * p.Chunks * p.Groups }

// Measurer is a kernel that can leave Partials of its result.
type Measurer interface {
	// CUDAChunks returns the chunks of an image, 0 if it leaves none for these groups.
	// Like CUDAScratch it knows no addresses.
	CUDAChunks(l Launch, groups int) int
}

// Measured is a kernel that computes statistics of groups of channels of its first
// input, from Partials if there are any: instead of reading it, or before it does.
type Measured interface {
	CUDAGroups() (groups int, instead bool)
}

// Leaver is a kernel that can leave numbers beside its result for that of its gradient, a Taker. Of Partials both are given
// an address and one chunk.
type Leaver interface {
	CUDALeaves(l Launch) int // bytes
}

// Taker takes what the Leaver that made one of its inputs left; without, it makes it itself.
type Taker interface {
	CUDATakes() (input int)
}

// Widened is a kernel that makes several results of one input at once, if its operands are like these; it says whether they are.
type Widened interface{ CUDAWidens(l Launch) bool }

// Chained is a kernel of which sums are made by one, if its operands are like these.
type Chained interface{ CUDAChains(l Launch) bool }

// Kernel is an operator that runs on a GPU. In a plan of precision bf16, tensors
// of rank 4 are stored in bf16 and weights of products are read from a bf16
// copy; everything else is float32. A kernel looks at the types of its operands.
type Kernel interface {
	// CUDAScratch returns the bytes of working memory of a launch. Addresses are not known yet.
	CUDAScratch(l Launch) int
	// CUDA returns what to launch, in order.
	CUDA(l Launch) []Call
}

// Parameterised is a kernel that has Parameters. The engine gives it a table and
// calls PutParameters with the row of a step, little-endian, before that step.
type Parameterised interface {
	ParameterBytes() int
	PutParameters(row []byte)
}

// Call is one launch of a PTX function.
type Call struct {
	Module      *Module
	Function    string
	Grid, Block [3]int
	Shared      int         // bytes of dynamic shared memory
	Args        []byte      // the parameter buffer, see Args
	Maps        []TensorMap // that the driver makes the first 128 bytes each of Args of
	Split       Split       // how the blocks of Grid differ
	Cluster     int         // neighbours along x that run side by side, as the function itself says; 0: each block alone
	Jobs        Jobs        // what Grid and Args are made of, where several such calls can be one launch
}

// ClusterSeconds is what it takes the blocks of a cluster to meet before they begin: their barrier and the way to it are some
// 500 cycles. Assumed.
const ClusterSeconds = 0.3e-6

// Split is how the blocks of a call differ, where they do not all do the same. The first Whole of them do. Of
// those behind them Parts neighbours share what one of the first would do, each Work of it, and the last
// to end fetches so many bytes that they all have left. The zero Split: all do the same. Left is the bytes that all blocks
// leave for another call, where a few of them do not tell.
type Split struct {
	Whole, Parts int
	Work         float64
	Fetched      int
	Left         int
}

// Busiest is the work of the processor with the most, in whole blocks: each takes the next block when it is idle.
func (s Split) Busiest(blocks, processors int) float64 {
	up := func(n, of int) float64 { return float64((n + of - 1) / of) }
	if s.Parts == 0 {
		return up(blocks, processors)
	}
	rounds, more := s.Whole/processors, s.Whole%processors
	parts, work := blocks-s.Whole, float64(rounds)
	if more > 0 { // the others take parts meanwhile
		idle := processors - more
		meanwhile := min(parts, idle*int(1/s.Work))
		parts, work = parts-meanwhile, work+1
	}
	return work + up(parts, processors)*s.Work
}

// Args packs kernel arguments as C lays them out: each at a multiple of its own
// size. It takes Address, uint64, int64, uint32, int32, int (passed as an int32),
// float32, Parameters, and byte slices, which are structs by value, aligned to 8.
func Args(values ...any) []byte {
	var b []byte
	align := func(n int) {
		for len(b)%n != 0 {
			b = append(b, 0)
		}
	}
	for _, v := range values {
		switch v := v.(type) {
		case Address:
			align(8)
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		case uint64:
			align(8)
			b = binary.LittleEndian.AppendUint64(b, v)
		case int64:
			align(8)
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		case uint32:
			align(4)
			b = binary.LittleEndian.AppendUint32(b, v)
		case int32:
			align(4)
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case int:
			if int(int32(v)) != v {
				panic(fmt.Sprintf("cuda: argument %d does not fit an int32", v))
			}
			align(4)
			b = binary.LittleEndian.AppendUint32(b, uint32(int32(v)))
		case float32:
			align(4)
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		case Parameters: // struct Parameters of fluxion.cuh
			align(8)
			b = binary.LittleEndian.AppendUint64(b, uint64(v.Table))
			b = binary.LittleEndian.AppendUint64(b, uint64(v.Counter))
			b = binary.LittleEndian.AppendUint64(b, uint64(v.Stride))
		case []byte:
			align(8)
			b = append(b, v...)
		default:
			panic(fmt.Sprintf("cuda: argument of type %T", v))
		}
	}
	return b
}

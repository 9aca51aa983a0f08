package draw

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

//go:embed draw.ptx
var ptx string

var module = cuda.Register("draw", ptx)

const (
	threads     = 128
	blockValues = 8 * threads // values of a block, about: what it reads of the row is little beside them
	maxShared   = 47 << 10    // of dynamic shared memory, without asking for more

	headBytes, imageBytes = 16, 48
)

// The row of a Pair: struct Head (seed uint64, 8 bytes that it does not use), for
// each image struct Image, and unless the data set is resident the batch's pixels.

// ParameterBytes is the size of a step's row.
func (k Pair) ParameterBytes(b *Batch) int {
	if b.Sources == nil {
		return k.pixels() + k.Images*k.Values()
	}
	return k.pixels()
}

// pixels is where they begin in a row: where a sector of memory may.
func (k Pair) pixels() int { return (headBytes + imageBytes*k.Images + 63) / 64 * 64 }

// PutParameters writes the row of a step.
func (k Pair) PutParameters(b *Batch, row []byte) {
	if err := k.checkImages(b); err != nil {
		panic(err)
	}
	le := binary.LittleEndian
	le.PutUint64(row, b.Seed)
	for i, c := range b.Coefficients {
		r := row[headBytes+imageBytes*i:]
		le.PutUint64(r, uint64(b.Addresses[i]))
		le.PutUint64(r[8:], uint64(b.source(i))*uint64(k.Values()))
		for j, x := range []float32{c.Alpha, c.Sigma, c.A, c.B, c.NetworkTime} {
			le.PutUint32(r[16+4*j:], math.Float32bits(x))
		}
		le.PutUint32(r[36:], 0)
		if b.Flips != nil && b.Flips[i] {
			le.PutUint32(r[36:], 1)
		}
		le.PutUint64(r[40:], 0)
	}
	if b.Sources == nil {
		copy(row[k.pixels():], b.Pixels[:k.Images*k.Values()])
	}
}

// CUDA returns the launch of a Pair: l.Out is z, l.In[0] the target, l.In[1], if
// it is there, the network times. set is where the data set lies whose images
// b.Sources are; 0: pixels come with the row. Whatever else b holds is read by
// PutParameters.
func (k Pair) CUDA(b *Batch, set cuda.Address, l cuda.Launch) []cuda.Call {
	if err := k.check(l.Out, l.In[0]); err != nil {
		panic(err)
	}
	if err := k.checkImages(b); err != nil {
		panic(err)
	}
	if (b.Sources != nil) != (set != 0) {
		panic(fmt.Errorf("%v: %d sources and a data set at %#x", k, len(b.Sources), uint64(set)))
	}
	z, target := l.Out, l.In[0]
	var times cuda.Address
	if len(l.In) > 1 {
		times = l.In[1].Address
	}
	// Rows of a mirrored image stay together; else an image is one row.
	width := k.Pixels
	if b.Flips != nil {
		width = k.Width
	}
	row := width * k.Channels
	function, span, shared := "draw_pair", blockValues, 0
	if k.dense(z, target) && row%4 == 0 && set%4 == 0 && (b.Flips == nil || row <= maxShared) {
		function = "draw_pair_vector"
		if b.Flips != nil {
			rows := k.Pixels / width
			blocks := ceil(rows, max(1, blockValues/row))
			span = ceil(rows, blocks) * row
			shared = span
		}
	}
	args := cuda.Args(view(z), view(target), times, set, uint64(k.pixels()),
		k.Pixels, k.Channels, width, span)
	return []cuda.Call{k.call(function, span, shared, args, l.Parameters)}
}

// The row of a Start: struct Head (seed uint64, scale float32), the number of
// each image as an uint64.

// ParameterBytes is the size of a batch's row.
func (k Start) ParameterBytes() int { return headBytes + 8*k.Images }

// PutParameters writes the row of a batch.
func (k Start) PutParameters(s *Seeds, row []byte) {
	le := binary.LittleEndian
	le.PutUint64(row, s.Seed)
	le.PutUint32(row[8:], math.Float32bits(s.Scale))
	le.PutUint32(row[12:], 0)
	for i, image := range s.Images[:k.Images] {
		le.PutUint64(row[headBytes+8*i:], uint64(image))
	}
}

// CUDA returns the launch of a Start into z and, if its Address is not 0, into
// second as well: the half of a guided network's batch that repeats the first.
func (k Start) CUDA(z, second cuda.Operand, p cuda.Parameters) []cuda.Call {
	operands := []cuda.Operand{z}
	if second.Address != 0 {
		operands = append(operands, second)
	}
	if err := k.check(operands...); err != nil {
		panic(err)
	}
	function := "draw_start"
	if k.dense(operands...) {
		function = "draw_start_vector"
	}
	args := cuda.Args(view(z), view(second), k.Pixels, k.Channels, blockValues, 0)
	return []cuda.Call{k.call(function, blockValues, 0, args, p)}
}

// view is struct View of group.cuh.
func view(o cuda.Operand) []byte { return cuda.Args(o.Address, uint64(o.Pitch)) }

func ceil(n, d int) int { return (n + d - 1) / d }

// call is one block for every span of values of every image.
func (s Shape) call(function string, span, shared int, args []byte, p cuda.Parameters) cuda.Call {
	return cuda.Call{
		Module: module, Function: function, Shared: shared, Args: cuda.Args(args, p),
		Grid: [3]int{ceil(s.Values(), span), s.Images, 1}, Block: [3]int{threads, 1, 1},
	}
}

// dense reports whether images lie one behind the other and groups of 4 values are aligned.
func (s Shape) dense(operands ...cuda.Operand) bool {
	for _, o := range operands {
		if o.Pitch != o.Cols || o.Address%16 != 0 || s.Values()%4 != 0 {
			return false
		}
	}
	return true
}

func (s Shape) check(operands ...cuda.Operand) error {
	for _, o := range operands {
		if o.Rows != s.Images*s.Pixels || o.Cols != s.Channels || o.Type != number.Float32 || o.Address == 0 {
			return fmt.Errorf("draw %v: operand of %d by %d %v at %#x", s, o.Rows, o.Cols, o.Type, uint64(o.Address))
		}
	}
	return nil
}

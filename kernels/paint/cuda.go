package paint

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

//go:embed paint.ptx
var ptx string

var module = cuda.Register("paint", ptx)

const (
	threads   = 128
	stepBytes = 32 // struct Step of paint.cu
)

// The row of a step: struct Step of paint.cu, then the number of each image as an
// uint64.

// ParameterBytes is the size of a step's row.
func (k Kernel) ParameterBytes() int { return stepBytes + 8*k.Images }

// PutParameters writes the row of a step.
func (k Kernel) PutParameters(s *Step, row []byte) {
	le := binary.LittleEndian
	b := le.AppendUint64(row[:0], s.Seeds.Seed)
	b = le.AppendUint32(b, math.Float32bits(s.A))
	b = le.AppendUint32(b, math.Float32bits(s.S))
	for _, flag := range []bool{s.Active, s.Everywhere, s.Pixels, false} {
		x := uint32(0)
		if flag {
			x = 1
		}
		b = le.AppendUint32(b, x)
	}
	for _, image := range s.Seeds.Images[:k.Images] {
		b = le.AppendUint64(b, uint64(image))
	}
}

// CUDAOperands are the operands of a launch on a GPU, as Operands; Address is 0
// for what is not there.
type CUDAOperands struct {
	Z             cuda.Operand
	Second        cuda.Operand // receives z, too: the half of a guided network's batch that repeats the first
	Picture, Mask cuda.Address
	Pixels        cuda.Address
}

// CUDA returns the launch. What a step is, is read from its row.
func (k Kernel) CUDA(o CUDAOperands, p cuda.Parameters) []cuda.Call {
	function := "paint_vector"
	if k.Values()%4 != 0 || (o.Picture|o.Mask)%16 != 0 || o.Pixels%4 != 0 {
		function = "paint_scalar"
	}
	var views []byte
	for i, m := range []cuda.Operand{o.Z, o.Second} {
		if (i == 0 || m.Address != 0) && (m.Rows != k.Images*k.Pixels || m.Cols != k.Channels || m.Type != number.Float32 || m.Address == 0) {
			panic(fmt.Errorf("%v: operand %d is %d by %d %v at %#x", k, i, m.Rows, m.Cols, m.Type, uint64(m.Address)))
		}
		if m.Address != 0 && (m.Pitch != m.Cols || m.Address%16 != 0) {
			function = "paint_scalar"
		}
		views = append(views, cuda.Args(m.Address, uint64(m.Pitch))...)
	}
	return []cuda.Call{{
		Module: module, Function: function,
		Grid: [3]int{(k.Values() + 4*threads - 1) / (4 * threads), k.Images, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(views, o.Picture, o.Mask, o.Pixels, k.Pixels, k.Channels, p),
	}}
}

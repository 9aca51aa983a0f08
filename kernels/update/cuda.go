package update

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

//go:embed update.ptx
var ptx string

var module = cuda.Register("update", ptx)

const (
	threads     = 128
	blockValues = 8 * threads // values of a block: what it reads of the row is little beside them
	stepBytes   = 80          // struct Step of update.cu
)

// The row of a step: struct Step of update.cu, then the number of each image as an
// uint64.

// ParameterBytes is the size of a step's row.
func (k Kernel) ParameterBytes() int { return stepBytes + 8*k.Images }

// PutParameters writes the row of a step.
func (k Kernel) PutParameters(s *Step, row []byte) {
	le := binary.LittleEndian
	b := le.AppendUint64(row[:0], s.Seeds.Seed)
	float := func(x float32) { b = le.AppendUint32(b, math.Float32bits(x)) }
	flag := func(x bool) {
		if x {
			b = le.AppendUint32(b, 1)
		} else {
			b = le.AppendUint32(b, 0)
		}
	}
	float(s.A)
	float(s.B)
	float(s.C)
	for _, h := range s.History {
		float(h)
	}
	b = le.AppendUint32(b, uint32(int32(s.Store)))
	float(s.KeepZ)
	float(s.KeepY)
	float(s.Guidance)
	float(s.XZ)
	float(s.XY)
	flag(s.Clip)
	b = le.AppendUint32(b, s.Count)
	flag(s.Pixels)
	for _, image := range s.Seeds.Images[:k.Images] {
		b = le.AppendUint64(b, uint64(image))
	}
	if len(b) > len(row) {
		panic(fmt.Sprintf("%v: a row of %d bytes, want %d", k, len(row), len(b)))
	}
}

// CUDAOperands are the operands of a launch on a GPU, as Operands; Address is 0
// for what is not there.
type CUDAOperands struct {
	Z             cuda.Operand
	Second        cuda.Operand // receives z', too: the half of a guided network's batch that repeats the first
	Y             cuda.Operand
	Unconditional cuda.Operand
	History       []cuda.Operand
	Pixels        cuda.Address // NHWC, dense
}

// CUDA returns the launch. What a step is, is read from its row.
func (k Kernel) CUDA(o CUDAOperands, p cuda.Parameters) []cuda.Call {
	if len(o.History) > MaxHistory {
		panic(fmt.Errorf("%v: %d slots of history, want at most %d", k, len(o.History), MaxHistory))
	}
	operands := append([]cuda.Operand{o.Z, o.Second, o.Y, o.Unconditional}, o.History...)
	for len(operands) < 4+MaxHistory {
		operands = append(operands, cuda.Operand{})
	}
	function := "update_vector"
	if k.Values()%4 != 0 || o.Pixels%4 != 0 {
		function = "update_scalar"
	}
	var views []byte
	for i, m := range operands {
		switch {
		case m.Address == 0 && i != 0 && i != 2:
		case m.Rows != k.Images*k.Pixels || m.Cols != k.Channels || m.Type != number.Float32 || m.Address == 0:
			panic(fmt.Errorf("%v: operand %d is %d by %d %v at %#x", k, i, m.Rows, m.Cols, m.Type, uint64(m.Address)))
		case m.Pitch != m.Cols || m.Address%16 != 0:
			function = "update_scalar"
		}
		views = append(views, cuda.Args(m.Address, uint64(m.Pitch))...)
	}
	return []cuda.Call{{
		Module: module, Function: function,
		Grid: [3]int{(k.Values() + blockValues - 1) / blockValues, k.Images, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(views, o.Pixels, k.Pixels, k.Channels, blockValues, 0, p),
	}}
}

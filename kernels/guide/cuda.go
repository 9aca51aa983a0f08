package guide

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

//go:embed guide.ptx
var ptx string

var module = cuda.Register("guide", ptx)

const (
	threads   = 256
	stepBytes = 32 // struct Step of guide.cu, the whole row
)

// ParameterBytes is the size of a step's row.
func (k Kernel) ParameterBytes() int { return stepBytes }

// PutParameters writes the row of a step.
func (k Kernel) PutParameters(s *Step, row []byte) {
	b := row[:0]
	for _, x := range []float32{s.Guidance, s.Rescale, s.Percentile, s.XZ, s.XY} {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	clip := uint32(0)
	if s.Clip {
		clip = 1
	}
	b = binary.LittleEndian.AppendUint32(b, clip)
	binary.LittleEndian.AppendUint64(b, 0)
}

// CUDAOperands are the operands of a launch on a GPU, as Operands; Address is 0
// for what is not there.
type CUDAOperands struct {
	Z, Y, Unconditional cuda.Operand
	Estimates           [2]cuda.Operand
}

// CUDA returns the launch, a block an image. What a step is, is read from its row.
func (k Kernel) CUDA(o CUDAOperands, p cuda.Parameters) []cuda.Call {
	function := "guide_vector"
	if k.Values()%4 != 0 {
		function = "guide_scalar"
	}
	var views []byte
	for i, m := range []cuda.Operand{o.Z, o.Y, o.Unconditional, o.Estimates[0], o.Estimates[1]} {
		switch {
		case m.Address == 0 && i > 1:
		case m.Rows != k.Images*k.Pixels || m.Cols != k.Channels || m.Type != number.Float32 || m.Address == 0:
			panic(fmt.Errorf("%v: operand %d is %d by %d %v at %#x", k, i, m.Rows, m.Cols, m.Type, uint64(m.Address)))
		case m.Pitch != m.Cols || m.Address%16 != 0:
			function = "guide_scalar"
		}
		views = append(views, cuda.Args(m.Address, uint64(m.Pitch))...)
	}
	return []cuda.Call{{
		Module: module, Function: function, Grid: [3]int{k.Images, 1, 1}, Block: [3]int{threads, 1, 1},
		Args: cuda.Args(views, k.Pixels, k.Channels, p),
	}}
}

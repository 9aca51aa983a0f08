package cuda

import "fmt"

// TensorMap describes a tensor in global memory and the box of it that a bulk copy
// (TMA, compute capability 9.0) moves: the arguments of cuTensorMapEncodeTiled.
// The innermost dimension comes first.
type TensorMap struct {
	Type           int // CUtensorMapDataType
	Address        Address
	Sizes          []uint64 // elements
	Strides        []uint64 // bytes, of all dimensions but the first
	Box            []uint32 // elements
	ElementStrides []uint32
	Interleave     int // CUtensorMapInterleave: none, 16 bytes, 32 bytes
	Swizzle        int // CUtensorMapSwizzle: none, 32, 64, 128 bytes
	Promotion      int // CUtensorMapL2promotion
	Fill           int // CUtensorMapFloatOOBfill
}

// TensorMapBytes is what a driver makes of a TensorMap.
const TensorMapBytes = 128

// Mapped is the parameter buffer with the call's tensor maps in it, made by a driver's encode. Args has
// room for them at its beginning.
func (c Call) Mapped(encode func(TensorMap) ([128]byte, error)) ([]byte, error) {
	if len(c.Maps) == 0 {
		return c.Args, nil
	}
	args := append([]byte(nil), c.Args...)
	for i, t := range c.Maps {
		image, err := encode(t)
		if err != nil {
			return nil, fmt.Errorf("tensor map %d of %s: %w", i, c.Name(), err)
		}
		copy(args[TensorMapBytes*i:], image[:])
	}
	return args, nil
}

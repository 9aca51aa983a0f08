package cuda

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

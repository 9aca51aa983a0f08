package sim

import (
	"encoding/binary"
	"errors"

	"fluxion/kernels/cuda"
)

// elementBytes of CUtensorMapDataType: uint8, uint16, uint32, int32, uint64,
// int64, float16, float32, float64, bfloat16, and float32 and tf32 in three variants.
var elementBytes = []int{1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4}

// swizzleBytes of CUtensorMapSwizzle: the inner extent of a box may not be wider.
var swizzleBytes = []int{0, 32, 64, 128}

// EncodeTensorMap checks a description as cuTensorMapEncodeTiled does and packs it into the
// 128 bytes that a kernel takes. The packing is the simulator's own, as the driver's is NVIDIA's own.
func EncodeTensorMap(t cuda.TensorMap) (image [128]byte, err error) {
	if what := wrong(t); what != "" {
		return image, errors.New(what)
	}
	return packTensorMap(t), nil
}

// wrong says which rule of cuTensorMapEncodeTiled is broken.
func wrong(t cuda.TensorMap) string {
	rank := len(t.Sizes)
	switch {
	case t.Type < 0 || t.Type >= len(elementBytes):
		return "the data type is not known"
	case t.Interleave < 0 || t.Interleave > 2, t.Swizzle < 0 || t.Swizzle >= len(swizzleBytes):
		return "the interleaving or swizzling is not known"
	case t.Promotion < 0 || t.Promotion > 3, t.Fill < 0 || t.Fill > 1:
		return "the L2 promotion or the filling is not known"
	case rank < 1 || rank > 5 || t.Interleave != 0 && rank < 3:
		return "the rank is not 1 to 5, or less than 3 with interleaving"
	case len(t.Strides) != rank-1 || len(t.Box) != rank || len(t.ElementStrides) != rank:
		return "the lists are not as long as the rank"
	case t.Interleave == 2 && t.Swizzle != 1:
		return "interleaving of 32 bytes goes with swizzling of 32 bytes only"
	}
	align := uint64(16)
	if t.Interleave == 2 {
		align = 32
	}
	if t.Address == 0 || uint64(t.Address)%align != 0 {
		return "the address is not aligned"
	}
	element := elementBytes[t.Type]
	for i := range rank {
		if t.Sizes[i] < 1 || t.Sizes[i] > 1<<32 {
			return "a size is not 1 to 2³²"
		}
		if t.Box[i] < 1 || t.Box[i] > 256 {
			return "a box is not 1 to 256 elements wide"
		}
		if t.ElementStrides[i] < 1 || t.ElementStrides[i] > 8 {
			return "an element stride is not 1 to 8"
		}
		if i > 0 && (t.Strides[i-1]%align != 0 || t.Strides[i-1] >= 1<<40) {
			return "a stride is not a multiple of 16 bytes, or too long"
		}
	}
	inner := int(t.Box[0]) * element
	switch {
	case t.Interleave == 0 && inner%16 != 0:
		return "the box's inner dimension is not a multiple of 16 bytes"
	case t.Interleave == 0 && t.Swizzle != 0 && inner > swizzleBytes[t.Swizzle]:
		return "the box's inner dimension is wider than the swizzle"
	}
	return ""
}

// packTensorMap packs the description, little-endian:
//
//	0 address, 8 sizes (5 × 8, less one), 48 strides (4 × 8), 80 boxes (5 × 2),
//	90 element strides (5 × 1), 95 rank, 96 type, interleave, swizzle, promotion, fill
func packTensorMap(t cuda.TensorMap) (image [128]byte) {
	little := binary.LittleEndian
	little.PutUint64(image[0:], uint64(t.Address))
	for i := range t.Sizes {
		little.PutUint64(image[8+8*i:], t.Sizes[i]-1)
		little.PutUint16(image[80+2*i:], uint16(t.Box[i]))
		image[90+i] = byte(t.ElementStrides[i])
		if i > 0 {
			little.PutUint64(image[40+8*i:], t.Strides[i-1])
		}
	}
	image[95] = byte(len(t.Sizes))
	copy(image[96:], []byte{byte(t.Type), byte(t.Interleave), byte(t.Swizzle), byte(t.Promotion), byte(t.Fill)})
	return image
}

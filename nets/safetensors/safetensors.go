// Package safetensors reads and writes the safetensors format: eight bytes of
// little-endian header length, a JSON header, and the tensors' bytes. What it
// writes equals, byte for byte, what the reference implementation writes.
//
// An open file is its header; tensors are read one by one, a piece at a time, into where they
// are to lie. It is not mapped into memory, as the reference implementation does it: each weight
// is needed once, in another type or order, so that a mapping would save no copy, and a file that
// is cut short while it is mapped ends the program by a signal, where a read is an error.
package safetensors

import (
	"fmt"
	"math"
	"math/bits"
)

// Dtype is an element type as the header spells it.
type Dtype string

// The element types that can be read as numbers. The others of the format are
// passed through as bytes.
const (
	F16  Dtype = "F16"
	BF16 Dtype = "BF16"
	F32  Dtype = "F32"
	F64  Dtype = "F64"
	I64  Dtype = "I64"
)

// dtypes in the order of the reference implementation, which writes the last
// one first, with the bits of an element.
var dtypes = []struct {
	name Dtype
	bits int
}{
	{"BOOL", 8}, {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8}, {"I8", 8}, {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8},
	{"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16}, {"U16", 16}, {F16, 16}, {BF16, 16}, {"I32", 32}, {"U32", 32}, {F32, 32},
	{"C64", 64}, {F64, 64}, {I64, 64}, {"U64", 64},
}

// rank returns the place of an element type in the order above; −1 if unknown.
func (d Dtype) rank() int {
	for i, t := range dtypes {
		if t.name == d {
			return i
		}
	}
	return -1
}

// bits of an element, 0 for an unknown type.
func (d Dtype) bits() int {
	if r := d.rank(); r >= 0 {
		return dtypes[r].bits
	}
	return 0
}

// Width returns the bytes of an element, 0 for an unknown type and for those smaller than a byte.
func (d Dtype) Width() int { return d.bits() / 8 }

// Tensor is an entry of the header.
type Tensor struct {
	Name  string
	Dtype Dtype
	Shape []int // empty for a scalar

	offset int64 // of the first byte, from the start of the data
}

// Elements returns the product of the shape.
func (t Tensor) Elements() int {
	n, _ := t.elements()
	return n
}

// elements reports whether the product of the shape, in bytes, fits an int64.
func (t Tensor) elements() (n int, ok bool) {
	product, zero := uint64(1), false
	for _, d := range t.Shape {
		if d < 0 {
			return 0, false
		}
		zero = zero || d == 0
		hi, lo := bits.Mul64(product, uint64(max(d, 1)))
		if hi != 0 || lo > math.MaxInt64/8 {
			return 0, false
		}
		product = lo
	}
	if zero {
		return 0, true
	}
	return int(product), true
}

// Size returns the tensor's bytes in the file.
func (t Tensor) Size() int64 {
	n, bits := int64(t.Elements()), int64(t.Dtype.bits())
	return n/8*bits + n%8*bits/8
}

// whole says whether the tensor fills its bytes.
func (t Tensor) whole() bool { return t.Elements()%8*t.Dtype.bits()%8 == 0 }

// FormatError is a file that is no proper safetensors file.
type FormatError struct {
	File    string
	Tensor  string // "" if the fault is not one tensor's
	Problem string // what is wrong, and what would be right
}

func (e *FormatError) Error() string {
	if e.Tensor == "" {
		return fmt.Sprintf("%s: %s", e.File, e.Problem)
	}
	return fmt.Sprintf("%s: tensor %q: %s", e.File, e.Tensor, e.Problem)
}

// maxHeader is the longest header that is read: a hundred thousand tensors fit. The
// reference implementation reads one of 100 MB, which takes gigabytes once it is parsed.
const maxHeader = 16 << 20

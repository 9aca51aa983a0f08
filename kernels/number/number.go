// Package number lists the element types of tensors in memory, and converts bfloat16.
package number

import "math"

// Type of the elements of a tensor in memory.
type Type uint8

// Float32 is IEEE binary32; BFloat16 its upper half: 8 bits of exponent, 8 of
// significand. Uint8 is that of pixels.
const (
	Float32 Type = iota
	BFloat16
	Uint8
)

var (
	sizes = [...]int{4, 2, 1}
	names = [...]string{"fp32", "bf16", "u8"}
)

// Size of an element in bytes.
func (t Type) Size() int { return sizes[t] }

func (t Type) String() string { return names[t] }

// Narrow rounds to the nearest bfloat16, ties to even; NaN stays NaN.
func Narrow(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// Widen is exact.
func Widen(x uint16) float32 { return math.Float32frombits(uint32(x) << 16) }

// Round returns the nearest bfloat16 as a float32.
func Round(x float32) float32 { return Widen(Narrow(x)) }

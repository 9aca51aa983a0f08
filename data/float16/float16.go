// Package float16 converts IEEE 754 binary16 numbers. It is a leaf, which all may import.
package float16

import "math"

// Float32 is the value of a binary16.
func Float32(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // zero and subnormals: fraction·2⁻²⁴
		return math.Float32frombits(math.Float32bits(float32(fraction)*0x1p-24) | sign)
	case 31: // infinities and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}

// Infinite is the least number that Narrow makes infinite.
const Infinite = 65520

// Narrow rounds to the nearest binary16, ties to even; NaN stays NaN.
func Narrow(x float32) uint16 {
	bits := math.Float32bits(x)
	sign, rest := uint16(bits>>16)&0x8000, bits&0x7fffffff
	switch {
	case rest > 0x7f800000: // NaN
		return sign | 0x7e00
	case rest >= 0x477ff000: // Infinite
		return sign | 0x7c00
	case rest < 0x38800000: // below 2⁻¹⁴: a multiple of 2⁻²⁴, which is the last place of ½
		return sign | uint16(math.Float32bits(math.Float32frombits(rest)+0.5)-math.Float32bits(0.5))
	}
	rest += 0xfff + rest>>13&1 // a carry goes into the exponent
	return sign | uint16((rest-112<<23)>>13)
}

package sim

import (
	"math"
	"unsafe"
)

// The value of a register in the 32 lanes of a warp.
type (
	vec32 = [32]uint32
	vec64 = [32]uint64
)

// What an arithmetic instruction does to all lanes at once, by the sizes of its
// operands. Lanes that are not active are computed too and thrown away, so these
// functions must be defined for every input.
type (
	lanes32    func(d, a, b, c *vec32)
	lanes64    func(d, a, b, c *vec64)
	lanesWide  func(d *vec64, a, b *vec32, c *vec64) // mul.wide, mad.wide, cvt to 64 bits
	lanesShift func(d, a *vec64, b *vec32)
	lanesSlim  func(d *vec32, a, b *vec64) // cvt to 32 bits, popc.b64
)

type word32 interface{ int32 | uint32 | float32 }
type word64 interface{ int64 | uint64 | float64 }
type word interface{ word32 | word64 }

func as32[T word32](v *vec32) *[32]T { return (*[32]T)(unsafe.Pointer(v)) }
func as64[T word64](v *vec64) *[32]T { return (*[32]T)(unsafe.Pointer(v)) }

// each32 makes lanes of a function of one lane. It costs a call a lane; what is
// hot has a loop of its own below.
func each32(f func(a, b, c uint32) uint32) lanes32 {
	return func(d, a, b, c *vec32) {
		for i := range d {
			d[i] = f(a[i], b[i], c[i])
		}
	}
}

func each64(f func(a, b, c uint64) uint64) lanes64 {
	return func(d, a, b, c *vec64) {
		for i := range d {
			d[i] = f(a[i], b[i], c[i])
		}
	}
}

func float32s(f func(a, b, c float32) float32) lanes32 {
	return func(d, a, b, c *vec32) {
		d1, a1, b1, c1 := as32[float32](d), as32[float32](a), as32[float32](b), as32[float32](c)
		for i := range d1 {
			d1[i] = f(a1[i], b1[i], c1[i])
		}
	}
}

func float64s(f func(a, b, c float64) float64) lanes64 {
	return func(d, a, b, c *vec64) {
		d1, a1, b1, c1 := as64[float64](d), as64[float64](a), as64[float64](b), as64[float64](c)
		for i := range d1 {
			d1[i] = f(a1[i], b1[i], c1[i])
		}
	}
}

func add32[T word32](d, a, b, _ *vec32) {
	d1, a1, b1 := as32[T](d), as32[T](a), as32[T](b)
	for i := range d1 {
		d1[i] = a1[i] + b1[i]
	}
}

func sub32[T word32](d, a, b, _ *vec32) {
	d1, a1, b1 := as32[T](d), as32[T](a), as32[T](b)
	for i := range d1 {
		d1[i] = a1[i] - b1[i]
	}
}

func mul32[T word32](d, a, b, _ *vec32) {
	d1, a1, b1 := as32[T](d), as32[T](a), as32[T](b)
	for i := range d1 {
		d1[i] = a1[i] * b1[i]
	}
}

func mad32(d, a, b, c *vec32) {
	for i := range d {
		d[i] = a[i]*b[i] + c[i]
	}
}

func add64[T word64](d, a, b, _ *vec64) {
	d1, a1, b1 := as64[T](d), as64[T](a), as64[T](b)
	for i := range d1 {
		d1[i] = a1[i] + b1[i]
	}
}

func sub64[T word64](d, a, b, _ *vec64) {
	d1, a1, b1 := as64[T](d), as64[T](a), as64[T](b)
	for i := range d1 {
		d1[i] = a1[i] - b1[i]
	}
}

func mul64[T word64](d, a, b, _ *vec64) {
	d1, a1, b1 := as64[T](d), as64[T](a), as64[T](b)
	for i := range d1 {
		d1[i] = a1[i] * b1[i]
	}
}

func mad64(d, a, b, c *vec64) {
	for i := range d {
		d[i] = a[i]*b[i] + c[i]
	}
}

func div32(d, a, b, _ *vec32) {
	d1, a1, b1 := as32[float32](d), as32[float32](a), as32[float32](b)
	for i := range d1 {
		d1[i] = a1[i] / b1[i]
	}
}

// fma32 is a·b + c in float32, rounded once. The product is exact in float64 and
// the sum almost; only where the sum's rounding to float64 could have moved it
// onto a tie of float32 (or the result is subnormal) is the long way needed.
func fma32(d, a, b, c *vec32) {
	d1, a1, b1, c1 := as32[float32](d), as32[float32](a), as32[float32](b), as32[float32](c)
	for i := range d1 {
		s := float64(a1[i])*float64(b1[i]) + float64(c1[i])
		if bits := math.Float64bits(s); bits&0x1fffffff == 0x10000000 || bits>>52&0x7ff < 1023-125 && s != 0 {
			d1[i] = fmaExact(a1[i], b1[i], c1[i])
		} else {
			d1[i] = float32(s)
		}
	}
}

func fmaExact(a, b, c float32) float32 {
	s, e := fmaParts(a, b, c)
	return round32(s, e, roundNearest)
}

func and32(d, a, b, _ *vec32) {
	for i := range d {
		d[i] = a[i] & b[i]
	}
}

func or32(d, a, b, _ *vec32) {
	for i := range d {
		d[i] = a[i] | b[i]
	}
}

func xor32(d, a, b, _ *vec32) {
	for i := range d {
		d[i] = a[i] ^ b[i]
	}
}

func and64(d, a, b, _ *vec64) {
	for i := range d {
		d[i] = a[i] & b[i]
	}
}

func or64(d, a, b, _ *vec64) {
	for i := range d {
		d[i] = a[i] | b[i]
	}
}

func xor64(d, a, b, _ *vec64) {
	for i := range d {
		d[i] = a[i] ^ b[i]
	}
}

// Shifts by the width or more give 0 or the sign, in PTX as in Go.
func shl32(d, a, b, _ *vec32) {
	for i := range d {
		d[i] = a[i] << b[i]
	}
}

func shr32[T int32 | uint32](d, a, b, _ *vec32) {
	d1, a1 := as32[T](d), as32[T](a)
	for i := range d1 {
		d1[i] = a1[i] >> b[i]
	}
}

func shl64(d, a *vec64, b *vec32) {
	for i := range d {
		d[i] = a[i] << b[i]
	}
}

func shr64[T int64 | uint64](d, a *vec64, b *vec32) {
	d1, a1 := as64[T](d), as64[T](a)
	for i := range d1 {
		d1[i] = a1[i] >> b[i]
	}
}

func mulWideSigned(d *vec64, a, b *vec32, _ *vec64) {
	for i := range d {
		d[i] = uint64(int64(int32(a[i])) * int64(int32(b[i])))
	}
}

func mulWideUnsigned(d *vec64, a, b *vec32, _ *vec64) {
	for i := range d {
		d[i] = uint64(a[i]) * uint64(b[i])
	}
}

func madWideSigned(d *vec64, a, b *vec32, c *vec64) {
	for i := range d {
		d[i] = uint64(int64(int32(a[i]))*int64(int32(b[i]))) + c[i]
	}
}

func madWideUnsigned(d *vec64, a, b *vec32, c *vec64) {
	for i := range d {
		d[i] = uint64(a[i])*uint64(b[i]) + c[i]
	}
}

func minInt32[T int32 | uint32](d, a, b, _ *vec32) {
	d1, a1, b1 := as32[T](d), as32[T](a), as32[T](b)
	for i := range d1 {
		d1[i] = min(a1[i], b1[i])
	}
}

func maxInt32[T int32 | uint32](d, a, b, _ *vec32) {
	d1, a1, b1 := as32[T](d), as32[T](a), as32[T](b)
	for i := range d1 {
		d1[i] = max(a1[i], b1[i])
	}
}

// compare sets bit i where a[i] stands in the relation to b[i]. Comparisons
// with NaN are false but for ne; the unordered forms are made of these by decode.
func compare[T word](relation string) func(a, b *[32]T) uint32 {
	switch relation {
	case "eq":
		return func(a, b *[32]T) (m uint32) {
			for i := range a {
				if a[i] == b[i] {
					m |= 1 << i
				}
			}
			return m
		}
	case "lt":
		return func(a, b *[32]T) (m uint32) {
			for i := range a {
				if a[i] < b[i] {
					m |= 1 << i
				}
			}
			return m
		}
	case "le":
		return func(a, b *[32]T) (m uint32) {
			for i := range a {
				if a[i] <= b[i] {
					m |= 1 << i
				}
			}
			return m
		}
	case "nan":
		return func(a, b *[32]T) (m uint32) {
			for i := range a {
				if a[i] != a[i] || b[i] != b[i] {
					m |= 1 << i
				}
			}
			return m
		}
	}
	return nil
}

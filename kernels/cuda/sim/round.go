package sim

import "math"

// Rounding of float32, float16, bfloat16 and tf32 as the PTX ISA manual (section
// on rounding modifiers) names it.
type rounding uint8

const (
	roundNearest rounding = iota // .rn: nearest, ties to even
	roundZero                    // .rz
	roundDown                    // .rm
	roundUp                      // .rp
	roundAway                    // .rna: nearest, ties away from zero (tf32)
)

func roundingOf(modifier string) (rounding, bool) {
	switch modifier {
	case "rn", "rni":
		return roundNearest, true
	case "rz", "rzi":
		return roundZero, true
	case "rm", "rmi":
		return roundDown, true
	case "rp", "rpi":
		return roundUp, true
	case "rna":
		return roundAway, true
	}
	return 0, false
}

// twoSum gives s + e = a + b exactly (Knuth), for finite s.
func twoSum(a, b float64) (s, e float64) {
	s = a + b
	v := s - a
	return s, (a - (s - v)) + (b - v)
}

// fmaParts gives s + e = a·b + c exactly: a product of float32 is exact in float64.
func fmaParts(a, b, c float32) (s, e float64) {
	s, e = twoSum(float64(a)*float64(b), float64(c))
	if math.IsInf(s, 0) || s != s {
		e = 0
	}
	return s, e
}

// round32 rounds s + e to float32, where |e| is at most half an ulp of s in float64.
func round32(s, e float64, mode rounding) float32 {
	r := float32(s)
	if s != s || math.IsInf(s, 0) {
		return r
	}
	if float64(r) == s && e == 0 {
		return r
	}
	// The two neighbours around the exact value.
	low, high := r, r
	if float64(r) > s || float64(r) == s && e < 0 {
		low = math.Nextafter32(r, float32(math.Inf(-1)))
	} else {
		high = math.Nextafter32(r, float32(math.Inf(1)))
	}
	switch mode {
	case roundDown:
		return low
	case roundUp:
		return high
	case roundZero:
		if s > 0 || s == 0 && e > 0 {
			return low
		}
		return high
	}
	if math.IsInf(float64(low), 0) || math.IsInf(float64(high), 0) {
		return r // beyond the largest number float32(s) decides; e cannot change it unless s is the tie itself
	}
	below, above := s-float64(low), float64(high)-s // exact
	switch {
	case below < above || below == above && e < 0:
		return low
	case below > above || below == above && e > 0:
		return high
	case math.Float32bits(low)&1 == 0:
		return low
	}
	return high
}

// roundShort rounds a float32 to a format of 16 bits (or tf32) with the given bits of
// exponent and mantissa, by working on the encoding. Overflow gives infinity, or
// the largest number where the mode rounds towards zero.
func roundShort(x float32, exponent, mantissa int, mode rounding) uint32 {
	bits := math.Float32bits(x)
	sign := bits >> 31
	bits &= 0x7fffffff
	top := uint32(1)<<exponent - 1 // exponent field of infinity
	pack := func(v uint32) uint32 { return sign<<(exponent+mantissa) | v }
	if bits > 0x7f800000 {
		return 1<<(exponent+mantissa) - 1 // the canonical NaN, 0x7fff
	}
	if bits == 0x7f800000 {
		return pack(top << mantissa)
	}
	// value = significand · 2^(e−23), e the exponent without bias
	e, significand := int(bits>>23)-127, bits&0x7fffff|0x800000
	if bits>>23 == 0 {
		e, significand = -126, bits&0x7fffff
	}
	bias := 1<<(exponent-1) - 1
	shift := 23 - mantissa
	field := e + bias // exponent field for a significand with its leading bit
	if field < 1 {    // subnormal in the target
		shift += 1 - field
		field = 1
	}
	var kept, rest, half uint32
	if shift > 31 {
		rest, half = min(significand, 1), 2
	} else {
		kept, rest, half = significand>>shift, significand&(1<<shift-1), 1<<shift>>1
	}
	up := false
	switch mode {
	case roundNearest:
		up = shift > 0 && (rest > half || rest == half && kept&1 == 1)
	case roundAway:
		up = shift > 0 && rest >= half
	case roundDown:
		up = rest != 0 && sign == 1
	case roundUp:
		up = rest != 0 && sign == 0
	}
	// The leading bit of the significand carries into the exponent by addition.
	v := uint32(field-1)<<mantissa + kept
	if up {
		v++
	}
	if v >= top<<mantissa {
		v = top << mantissa
		if mode == roundZero || mode == roundDown && sign == 0 || mode == roundUp && sign == 1 {
			v--
		}
	}
	return pack(v)
}

func toHalf(x float32, mode rounding) uint32 { return roundShort(x, 5, 10, mode) }

// toBFloat16 rounds to nearest even, the only hot case, without the general way.
func toBFloat16(x float32, mode rounding) uint32 {
	if mode == roundNearest && x == x {
		bits := math.Float32bits(x)
		return (bits + 0x7fff + bits>>16&1) >> 16
	}
	return roundShort(x, 8, 7, mode)
}

func fromBFloat16(h uint32) float32 { return math.Float32frombits(h << 16) }

func fromHalf(h uint32) float32 {
	sign, e, m := h>>15&1, h>>10&0x1f, h&0x3ff
	switch e {
	case 0:
		v := float32(m) * (1.0 / (1 << 24))
		if sign == 1 {
			v = -v
		}
		return v
	case 31:
		return math.Float32frombits(sign<<31 | 0x7f800000 | m<<13)
	}
	return math.Float32frombits(sign<<31 | (e+112)<<23 | m<<13)
}

// toTF32 rounds to 10 bits of mantissa and keeps float32's layout.
func toTF32(x float32, mode rounding) uint32 {
	if x != x {
		return 0x7fffffff
	}
	return roundShort(x, 8, 10, mode) << 13
}

// flush replaces subnormal numbers by zero of the same sign (.ftz).
func flush(x float32) float32 {
	if bits := math.Float32bits(x); bits&0x7f800000 == 0 {
		return math.Float32frombits(bits & 0x80000000)
	}
	return x
}

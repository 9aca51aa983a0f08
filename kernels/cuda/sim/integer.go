package sim

import "math/bits"

// Integer instructions by opcode, without modifiers that change nothing. The
// number is that of source operands.
type operation struct {
	sources int
	lanes   any // lanes32, lanes64, lanesWide, lanesShift or lanesSlim
}

// integers maps an opcode and its type to what it does.
var integers = func() map[string]operation {
	t := map[string]operation{}
	for _, s := range []string{"s32", "u32", "b32"} {
		t["add."+s] = operation{2, lanes32(add32[uint32])}
		t["sub."+s] = operation{2, lanes32(sub32[uint32])}
		t["mul.lo."+s] = operation{2, lanes32(mul32[uint32])}
		t["mad.lo."+s] = operation{3, lanes32(mad32)}
	}
	for _, s := range []string{"s64", "u64", "b64"} {
		t["add."+s] = operation{2, lanes64(add64[uint64])}
		t["sub."+s] = operation{2, lanes64(sub64[uint64])}
		t["mul.lo."+s] = operation{2, lanes64(mul64[uint64])}
		t["mad.lo."+s] = operation{3, lanes64(mad64)}
	}
	t["mul.wide.s32"] = operation{2, lanesWide(mulWideSigned)}
	t["mul.wide.u32"] = operation{2, lanesWide(mulWideUnsigned)}
	t["mad.wide.s32"] = operation{3, lanesWide(madWideSigned)}
	t["mad.wide.u32"] = operation{3, lanesWide(madWideUnsigned)}
	t["and.b32"] = operation{2, lanes32(and32)}
	t["or.b32"] = operation{2, lanes32(or32)}
	t["xor.b32"] = operation{2, lanes32(xor32)}
	t["and.b64"] = operation{2, lanes64(and64)}
	t["or.b64"] = operation{2, lanes64(or64)}
	t["xor.b64"] = operation{2, lanes64(xor64)}
	t["shl.b32"] = operation{2, lanes32(shl32)}
	t["shl.b64"] = operation{2, lanesShift(shl64)}
	t["shr.s32"] = operation{2, lanes32(shr32[int32])}
	t["shr.s64"] = operation{2, lanesShift(shr64[int64])}
	for _, s := range []string{"u", "b"} {
		t["shr."+s+"32"] = operation{2, lanes32(shr32[uint32])}
		t["shr."+s+"64"] = operation{2, lanesShift(shr64[uint64])}
	}
	t["min.s32"] = operation{2, lanes32(minInt32[int32])}
	t["min.u32"] = operation{2, lanes32(minInt32[uint32])}
	t["max.s32"] = operation{2, lanes32(maxInt32[int32])}
	t["max.u32"] = operation{2, lanes32(maxInt32[uint32])}

	one := func(op string, f func(a uint32) uint32) {
		t[op] = operation{1, each32(func(a, _, _ uint32) uint32 { return f(a) })}
	}
	two := func(op string, f func(a, b uint32) uint32) {
		t[op] = operation{2, each32(func(a, b, _ uint32) uint32 { return f(a, b) })}
	}
	three := func(op string, f func(a, b, c uint32) uint32) { t[op] = operation{3, each32(f)} }
	one64 := func(op string, f func(a uint64) uint64) {
		t[op] = operation{1, each64(func(a, _, _ uint64) uint64 { return f(a) })}
	}
	two64 := func(op string, f func(a, b uint64) uint64) {
		t[op] = operation{2, each64(func(a, b, _ uint64) uint64 { return f(a, b) })}
	}
	three64 := func(op string, f func(a, b, c uint64) uint64) { t[op] = operation{3, each64(f)} }
	slim := func(op string, f func(a uint64) uint32) {
		t[op] = operation{1, lanesSlim(func(d *vec32, a, _ *vec64) {
			for i := range d {
				d[i] = f(a[i])
			}
		})}
	}

	highSigned := func(a, b uint32) uint32 { return uint32(int64(int32(a)) * int64(int32(b)) >> 32) }
	highUnsigned := func(a, b uint32) uint32 { return uint32(uint64(a) * uint64(b) >> 32) }
	two("mul.hi.s32", highSigned)
	two("mul.hi.u32", highUnsigned)
	three("mad.hi.s32", func(a, b, c uint32) uint32 { return highSigned(a, b) + c })
	three("mad.hi.u32", func(a, b, c uint32) uint32 { return highUnsigned(a, b) + c })
	two64("mul.hi.u64", mulHigh)
	two64("mul.hi.s64", mulHighSigned)
	three64("mad.hi.u64", func(a, b, c uint64) uint64 { return mulHigh(a, b) + c })
	three64("mad.hi.s64", func(a, b, c uint64) uint64 { return mulHighSigned(a, b) + c })

	// Division by zero is unspecified in PTX; hardware gives all ones.
	two("div.u32", divide[uint32])
	two("div.s32", func(a, b uint32) uint32 { return uint32(divideSigned(int32(a), int32(b))) })
	two("rem.u32", remainder[uint32])
	two("rem.s32", func(a, b uint32) uint32 { return uint32(remainderSigned(int32(a), int32(b))) })
	two64("div.u64", divide[uint64])
	two64("div.s64", func(a, b uint64) uint64 { return uint64(divideSigned(int64(a), int64(b))) })
	two64("rem.u64", remainder[uint64])
	two64("rem.s64", func(a, b uint64) uint64 { return uint64(remainderSigned(int64(a), int64(b))) })
	two64("min.s64", func(a, b uint64) uint64 { return uint64(min(int64(a), int64(b))) })
	two64("max.s64", func(a, b uint64) uint64 { return uint64(max(int64(a), int64(b))) })
	two64("min.u64", func(a, b uint64) uint64 { return min(a, b) })
	two64("max.u64", func(a, b uint64) uint64 { return max(a, b) })

	one("abs.s32", func(a uint32) uint32 {
		if int32(a) < 0 {
			return -a
		}
		return a
	})
	one("neg.s32", func(a uint32) uint32 { return -a })
	one("not.b32", func(a uint32) uint32 { return ^a })
	one("cnot.b32", func(a uint32) uint32 { return b2u(a == 0) })
	one64("abs.s64", func(a uint64) uint64 {
		if int64(a) < 0 {
			return -a
		}
		return a
	})
	one64("neg.s64", func(a uint64) uint64 { return -a })
	one64("not.b64", func(a uint64) uint64 { return ^a })
	one64("cnot.b64", func(a uint64) uint64 { return uint64(b2u(a == 0)) })

	one("popc.b32", func(a uint32) uint32 { return uint32(bits.OnesCount32(a)) })
	one("clz.b32", func(a uint32) uint32 { return uint32(bits.LeadingZeros32(a)) })
	one("brev.b32", bits.Reverse32)
	one64("brev.b64", bits.Reverse64)
	slim("popc.b64", func(a uint64) uint32 { return uint32(bits.OnesCount64(a)) })
	slim("clz.b64", func(a uint64) uint32 { return uint32(bits.LeadingZeros64(a)) })
	for _, shift := range []bool{false, true} {
		name := "bfind."
		if shift {
			name = "bfind.shiftamt."
		}
		one(name+"u32", func(a uint32) uint32 { return findBit(uint64(a), 32, shift) })
		one(name+"s32", func(a uint32) uint32 { return findBit(uint64(a^uint32(int32(a)>>31)), 32, shift) })
		slim(name+"u64", func(a uint64) uint32 { return findBit(a, 64, shift) })
		slim(name+"s64", func(a uint64) uint32 { return findBit(a^uint64(int64(a)>>63), 64, shift) })
	}
	three("sad.u32", func(a, b, c uint32) uint32 { return c + max(a, b) - min(a, b) })
	three("sad.s32", func(a, b, c uint32) uint32 {
		return c + uint32(max(int32(a), int32(b))) - uint32(min(int32(a), int32(b)))
	})
	for _, s := range []string{"s", "u"} {
		two("mul24.lo."+s+"32", func(a, b uint32) uint32 { return extend24(a, s) * extend24(b, s) })
		three("mad24.lo."+s+"32", func(a, b, c uint32) uint32 { return extend24(a, s)*extend24(b, s) + c })
	}

	three("shf.l.wrap.b32", func(a, b, c uint32) uint32 { return funnelLeft(a, b, c&31) })
	three("shf.l.clamp.b32", func(a, b, c uint32) uint32 { return funnelLeft(a, b, min(c, 32)) })
	three("shf.r.wrap.b32", func(a, b, c uint32) uint32 { return funnelRight(a, b, c&31) })
	three("shf.r.clamp.b32", func(a, b, c uint32) uint32 { return funnelRight(a, b, min(c, 32)) })
	three("dp4a.u32.u32", func(a, b, c uint32) uint32 { return dot4(a, b, c, false, false) })
	three("dp4a.s32.s32", func(a, b, c uint32) uint32 { return dot4(a, b, c, true, true) })
	three("dp4a.u32.s32", func(a, b, c uint32) uint32 { return dot4(a, b, c, false, true) })
	three("dp4a.s32.u32", func(a, b, c uint32) uint32 { return dot4(a, b, c, true, false) })
	three("prmt.b32", func(a, b, c uint32) uint32 { return permute(a, b, c, "") })
	for _, mode := range []string{"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"} {
		three("prmt.b32."+mode, func(a, b, c uint32) uint32 { return permute(a, b, c, mode) })
	}
	three("bfe.u32", func(a, b, c uint32) uint32 { return uint32(extract(uint64(a), b, c, 32, false)) })
	three("bfe.s32", func(a, b, c uint32) uint32 { return uint32(extract(uint64(a), b, c, 32, true)) })

	short(t)
	return t
}()

// short adds the instructions on 16 bits, kept zero-extended.
func short(t map[string]operation) {
	signed := func(a uint32) int32 { return int32(int16(a)) }
	put := func(op string, n int, f func(a, b, c uint32) uint32) {
		t[op] = operation{n, each32(func(a, b, c uint32) uint32 { return f(a&0xffff, b&0xffff, c&0xffff) & 0xffff })}
	}
	wide := func(op string, n int, f func(a, b, c uint32) uint32) { t[op] = operation{n, each32(f)} }
	for _, s := range []string{"s16", "u16", "b16"} {
		put("add."+s, 2, func(a, b, _ uint32) uint32 { return a + b })
		put("sub."+s, 2, func(a, b, _ uint32) uint32 { return a - b })
		put("mul.lo."+s, 2, func(a, b, _ uint32) uint32 { return a * b })
		put("mad.lo."+s, 3, func(a, b, c uint32) uint32 { return a*b + c })
		put("and."+s, 2, func(a, b, _ uint32) uint32 { return a & b })
		put("or."+s, 2, func(a, b, _ uint32) uint32 { return a | b })
		put("xor."+s, 2, func(a, b, _ uint32) uint32 { return a ^ b })
		put("not."+s, 1, func(a, _, _ uint32) uint32 { return ^a })
		put("neg."+s, 1, func(a, _, _ uint32) uint32 { return -a })
	}
	put("cnot.b16", 1, func(a, _, _ uint32) uint32 { return b2u(a == 0) })
	put("abs.s16", 1, func(a, _, _ uint32) uint32 { return uint32(max(signed(a), -signed(a))) })
	put("mul.hi.u16", 2, func(a, b, _ uint32) uint32 { return a * b >> 16 })
	put("mul.hi.s16", 2, func(a, b, _ uint32) uint32 { return uint32(signed(a) * signed(b) >> 16) })
	put("div.u16", 2, func(a, b, _ uint32) uint32 { return divide(a, b) })
	put("rem.u16", 2, func(a, b, _ uint32) uint32 { return remainder(a, b) })
	put("div.s16", 2, func(a, b, _ uint32) uint32 { return uint32(divideSigned(signed(a), signed(b))) })
	put("rem.s16", 2, func(a, b, _ uint32) uint32 { return uint32(remainderSigned(signed(a), signed(b))) })
	put("min.u16", 2, func(a, b, _ uint32) uint32 { return min(a, b) })
	put("max.u16", 2, func(a, b, _ uint32) uint32 { return max(a, b) })
	put("min.s16", 2, func(a, b, _ uint32) uint32 { return uint32(min(signed(a), signed(b))) })
	put("max.s16", 2, func(a, b, _ uint32) uint32 { return uint32(max(signed(a), signed(b))) })
	// The amount of a shift has 32 bits whatever is shifted.
	wide("shl.b16", 2, func(a, b, _ uint32) uint32 { return a << b & 0xffff })
	wide("shr.u16", 2, func(a, b, _ uint32) uint32 { return a & 0xffff >> b })
	wide("shr.b16", 2, func(a, b, _ uint32) uint32 { return a & 0xffff >> b })
	wide("shr.s16", 2, func(a, b, _ uint32) uint32 { return uint32(signed(a)>>b) & 0xffff })
	wide("mul.wide.u16", 2, func(a, b, _ uint32) uint32 { return a & 0xffff * (b & 0xffff) })
	wide("mul.wide.s16", 2, func(a, b, _ uint32) uint32 { return uint32(signed(a) * signed(b)) })
	wide("mad.wide.u16", 3, func(a, b, c uint32) uint32 { return a&0xffff*(b&0xffff) + c })
	wide("mad.wide.s16", 3, func(a, b, c uint32) uint32 { return uint32(signed(a)*signed(b)) + c })
}

func b2u(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

func mulHigh(a, b uint64) uint64 {
	h, _ := bits.Mul64(a, b)
	return h
}

func mulHighSigned(a, b uint64) uint64 {
	h, _ := bits.Mul64(a, b)
	return h - uint64(int64(a)>>63)&b - uint64(int64(b)>>63)&a
}

func divide[T uint32 | uint64](a, b T) T {
	if b == 0 {
		return ^T(0)
	}
	return a / b
}

func remainder[T uint32 | uint64](a, b T) T {
	if b == 0 {
		return a
	}
	return a % b
}

func divideSigned[T int32 | int64](a, b T) T {
	switch b {
	case 0:
		return -1
	case -1: // the most negative number has no opposite
		return -a
	}
	return a / b
}

func remainderSigned[T int32 | int64](a, b T) T {
	switch b {
	case 0:
		return a
	case -1:
		return 0
	}
	return a % b
}

// findBit is bfind of a value whose sign was folded away: the place of its
// highest one, or how far to shift left to bring it to the top.
func findBit(a uint64, width int, shift bool) uint32 {
	if a == 0 {
		return ^uint32(0)
	}
	place := bits.Len64(a) - 1
	if shift {
		place = width - 1 - place
	}
	return uint32(place)
}

func extend24(a uint32, sign string) uint32 {
	if sign == "s" {
		return uint32(int32(a<<8) >> 8)
	}
	return a & 0xffffff
}

func funnelLeft(low, high, n uint32) uint32 {
	return uint32((uint64(high)<<32 | uint64(low)) << n >> 32)
}

func funnelRight(low, high, n uint32) uint32 { return uint32((uint64(high)<<32 | uint64(low)) >> n) }

func dot4(a, b, c uint32, signedA, signedB bool) uint32 {
	part := func(v uint32, i int, signed bool) int32 {
		if signed {
			return int32(int8(v >> (8 * i)))
		}
		return int32(uint8(v >> (8 * i)))
	}
	for i := range 4 {
		c += uint32(part(a, i, signedA) * part(b, i, signedB))
	}
	return c
}

// permute picks four of the eight bytes of {b,a} (prmt).
func permute(a, b, c uint32, mode string) uint32 {
	all := uint64(b)<<32 | uint64(a)
	pick := func(i uint32) uint32 { return uint32(all >> (8 * (i & 7)) & 0xff) }
	var d uint32
	n := c & 3
	for i := range uint32(4) {
		var v uint32
		switch mode {
		case "":
			s := c >> (4 * i) & 15
			v = pick(s)
			if s&8 != 0 { // the byte's sign, repeated
				v = uint32(int32(int8(v))>>7) & 0xff
			}
		case "f4e":
			v = pick(n + i)
		case "b4e":
			v = pick(n - i)
		case "rc8":
			v = pick(n)
		case "ecl":
			v = pick(max(n, i))
		case "ecr":
			v = pick(min(n, i))
		case "rc16":
			v = pick(n&1*2 + i&1)
		}
		d |= v << (8 * i)
	}
	return d
}

// extract is bfe: length bits of a from pos, with the sign of the last bit there is.
func extract(a uint64, pos, length uint32, width uint32, signed bool) uint64 {
	pos, length = pos&0xff, length&0xff
	all := ^uint64(0) >> (64 - width)
	if length == 0 {
		return 0
	}
	var sign uint64
	if signed {
		sign = a >> min(pos+length-1, width-1) & 1
	}
	var v uint64
	if pos < width {
		v = a & all >> pos
	}
	// Bits beyond the top of a are the sign.
	have := width - min(pos, width)
	if length < have {
		have = length
	}
	v &= 1<<have - 1
	if sign == 1 {
		v |= all &^ (1<<have - 1)
	}
	return v & all
}

// insert is bfi: the low length bits of a put into b at pos.
func insert(a, b uint64, pos, length uint32, width uint32) uint64 {
	pos, length = pos&0xff, length&0xff
	if pos >= width || length == 0 {
		return b
	}
	all := ^uint64(0) >> (64 - width)
	ones := ^uint64(0)
	if length < 64 {
		ones = 1<<length - 1
	}
	mask := ones << pos & all
	return b&^mask | a<<pos&mask
}

// lop3 is the truth table applied to three words, bit by bit.
func lop3(a, b, c uint32, table uint32) uint32 {
	var d uint32
	for i := range uint32(8) {
		if table>>i&1 != 0 {
			m := ^uint32(0)
			for k, v := range [3]uint32{c, b, a} {
				if i>>k&1 != 0 {
					m &= v
				} else {
					m &= ^v
				}
			}
			d |= m
		}
	}
	return d
}

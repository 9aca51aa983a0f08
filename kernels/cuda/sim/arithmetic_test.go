package sim_test

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// Integer instructions against their definitions in the PTX ISA manual, on edge
// cases and random numbers.
func TestIntegerInstructions(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	edges := []uint32{0, 1, 2, 31, 32, 33, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0xfffffffe, 0xff, 0x8000, 0xffff}
	var a, b, c [32]uint32
	for i := range a {
		a[i], b[i], c[i] = r.Uint32(), r.Uint32(), r.Uint32()
		if i < 24 {
			a[i], b[i], c[i] = edges[r.IntN(len(edges))], edges[r.IntN(len(edges))], edges[r.IntN(len(edges))]
		}
	}
	s := func(x uint32) int64 { return int64(int32(x)) }
	for _, i := range []struct {
		code string
		want func(a, b, c uint32) uint32
	}{
		{"add.s32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return a + b }},
		{"sub.s32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return a - b }},
		{"add.sat.s32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 {
			return uint32(max(math.MinInt32, min(math.MaxInt32, s(a)+s(b))))
		}},
		{"mul.lo.s32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return a * b }},
		{"mul.hi.s32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return uint32(s(a) * s(b) >> 32) }},
		{"mul.hi.u32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return uint32(uint64(a) * uint64(b) >> 32) }},
		{"mad.lo.s32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 { return a*b + c }},
		{"mad.hi.u32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 { return uint32(uint64(a)*uint64(b)>>32) + c }},
		{"mul.wide.s32 %l0, %a0, %a1; mov.b64 {%t1, %d0}, %l0;", func(a, b, c uint32) uint32 { return uint32(s(a) * s(b) >> 32) }},
		{"mul.wide.u32 %l0, %a0, %a1; mov.b64 {%d0, %t1}, %l0;", func(a, b, c uint32) uint32 { return a * b }},
		{"cvt.s64.s32 %l1, %a2; mad.wide.s32 %l0, %a0, %a1, %l1; shr.u64 %l0, %l0, 32; cvt.u32.u64 %d0, %l0;", func(a, b, c uint32) uint32 { return uint32((s(a)*s(b) + s(c)) >> 32) }},
		{"mul24.lo.s32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return uint32((s(a<<8) >> 8) * (s(b<<8) >> 8)) }},
		{"or.b32 %t1, %a1, 1; div.s32 %d0, %a0, %t1;", func(a, b, c uint32) uint32 { return uint32(s(a) / s(b|1)) }},
		{"or.b32 %t1, %a1, 1; rem.s32 %d0, %a0, %t1;", func(a, b, c uint32) uint32 { return uint32(s(a) % s(b|1)) }},
		{"or.b32 %t1, %a1, 1; div.u32 %d0, %a0, %t1;", func(a, b, c uint32) uint32 { return a / (b | 1) }},
		{"or.b32 %t1, %a1, 1; rem.u32 %d0, %a0, %t1;", func(a, b, c uint32) uint32 { return a % (b | 1) }},
		{"min.s32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return uint32(min(s(a), s(b))) }},
		{"max.u32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return max(a, b) }},
		{"abs.s32 %d0, %a0;", func(a, b, c uint32) uint32 { return uint32(max(s(a), -s(a))) }},
		{"neg.s32 %d0, %a0;", func(a, b, c uint32) uint32 { return -a }},
		{"not.b32 %d0, %a0;", func(a, b, c uint32) uint32 { return ^a }},
		{"cnot.b32 %d0, %a0;", func(a, b, c uint32) uint32 {
			if a == 0 {
				return 1
			}
			return 0
		}},
		{"shl.b32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return uint32(uint64(a) << min(b, 32)) }},
		{"shr.u32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return uint32(uint64(a) >> min(b, 32)) }},
		{"shr.s32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return uint32(s(a) >> min(b, 32)) }},
		{"mov.b64 %l0, {%a0, %a2}; shl.b64 %l0, %l0, %a1; mov.b64 {%t1, %d0}, %l0;", func(a, b, c uint32) uint32 {
			return uint32((uint64(c)<<32 | uint64(a)) << min(b, 64) >> 32)
		}},
		{"mov.b64 %l0, {%a0, %a2}; shr.s64 %l0, %l0, %a1; mov.b64 {%d0, %t1}, %l0;", func(a, b, c uint32) uint32 {
			return uint32(int64(uint64(c)<<32|uint64(a)) >> min(b, 63))
		}},
		{"popc.b32 %d0, %a0;", func(a, b, c uint32) uint32 { return uint32(bits.OnesCount32(a)) }},
		{"clz.b32 %d0, %a0;", func(a, b, c uint32) uint32 { return uint32(bits.LeadingZeros32(a)) }},
		{"brev.b32 %d0, %a0;", func(a, b, c uint32) uint32 { return bits.Reverse32(a) }},
		{"bfind.u32 %d0, %a0;", func(a, b, c uint32) uint32 { return uint32(bits.Len32(a)) - 1 }},
		{"bfind.s32 %d0, %a0;", func(a, b, c uint32) uint32 {
			if s(a) < 0 {
				a = ^a
			}
			return uint32(bits.Len32(a)) - 1
		}},
		{"bfind.shiftamt.u32 %d0, %a0;", func(a, b, c uint32) uint32 {
			if a == 0 {
				return math.MaxUint32
			}
			return uint32(bits.LeadingZeros32(a))
		}},
		{"mov.b64 %l0, {%a0, %a1}; popc.b64 %d0, %l0;", func(a, b, c uint32) uint32 { return uint32(bits.OnesCount32(a) + bits.OnesCount32(b)) }},
		{"shf.l.wrap.b32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 { n := c & 31; return uint32(uint64(b)<<n | uint64(a)>>(32-n)) }},
		{"shf.l.clamp.b32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 { n := min(c, 32); return uint32(uint64(b)<<n | uint64(a)>>(32-n)) }},
		{"shf.r.wrap.b32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 { n := c & 31; return uint32(uint64(b)<<(32-n) | uint64(a)>>n) }},
		{"shf.r.clamp.b32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 { n := min(c, 32); return uint32(uint64(b)<<(32-n) | uint64(a)>>n) }},
		{"prmt.b32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) (d uint32) {
			for i := range 4 {
				sel := c >> (4 * i) & 15
				from := a
				if sel&4 != 0 {
					from = b
				}
				v := from >> (8 * (sel & 3)) & 0xff
				if sel&8 != 0 {
					v = -(v >> 7) & 0xff
				}
				d |= v << (8 * i)
			}
			return d
		}},
		{"prmt.b32.f4e %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 { return uint32((uint64(b)<<32 | uint64(a)) >> (8 * (c & 3))) }},
		{"lop3.b32 %d0, %a0, %a1, %a2, 0x1a;", func(a, b, c uint32) uint32 { return table(0x1a, a, b, c) }},
		{"lop3.b32 %d0, %a0, %a1, %a2, 0x96;", func(a, b, c uint32) uint32 { return a ^ b ^ c }},
		{"lop3.b32 %d0, %a0, %a1, %a2, 0xca;", func(a, b, c uint32) uint32 { return a&b | ^a&c }},
		{"bfe.u32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 { return bfe(a, b, c, false) }},
		{"bfe.s32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 { return bfe(a, b, c, true) }},
		{"bfi.b32 %d0, %a0, %a1, %a2, 9;", func(a, b, c uint32) uint32 { return bfi(a, b, c, 9) }},
		{"bfi.b32 %d0, %a0, %a1, 5, %a2;", func(a, b, c uint32) uint32 { return bfi(a, b, 5, c) }},
		{"dp4a.s32.s32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 {
			for i := range 4 {
				c += uint32(int32(int8(a>>(8*i))) * int32(int8(b>>(8*i))))
			}
			return c
		}},
		{"sad.u32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 { return c + max(a, b) - min(a, b) }},
		{"mov.b32 {%h0, %h1}, %a0; mov.b32 {%h2, %h3}, %a1; mul.lo.s16 %h0, %h0, %h2; add.s16 %h1, %h1, %h3; mov.b32 %d0, {%h0, %h1};", func(a, b, c uint32) uint32 {
			return a*b&0xffff | (a>>16+b>>16)<<16
		}},
		{"mov.b32 {%h0, %h1}, %a0; shr.s16 %h0, %h0, 3; cvt.s32.s16 %d0, %h0;", func(a, b, c uint32) uint32 { return uint32(int32(int16(a)) >> 3) }},
		{"mov.b32 {%h0, %h1}, %a0; mov.b32 {%h2, %h3}, %a1; mul.wide.s16 %d0, %h1, %h2;", func(a, b, c uint32) uint32 { return uint32(int32(int16(a>>16)) * int32(int16(b))) }},
		{"mov.b64 %l0, {%a0, %a1}; mov.b64 %l1, {%a2, %a0}; mul.hi.s64 %l0, %l0, %l1; mov.b64 {%d0, %t1}, %l0;", func(a, b, c uint32) uint32 {
			x, y := big.NewInt(int64(uint64(b)<<32|uint64(a))), big.NewInt(int64(uint64(a)<<32|uint64(c)))
			return uint32(x.Rsh(x.Mul(x, y), 64).Int64())
		}},
		{"setp.lt.s32 %p0, %a0, %a1; selp.u32 %d0, 1, 0, %p0;", func(a, b, c uint32) uint32 { return truth(s(a) < s(b)) }},
		{"setp.hi.u32 %p0, %a0, %a1; selp.u32 %d0, 1, 0, %p0;", func(a, b, c uint32) uint32 { return truth(a > b) }},
		{"setp.ge.u32 %p1, %a1, %a2; setp.ne.and.s32 %p0|%p2, %a0, %a1, !%p1; selp.u32 %d0, 1, 0, %p0; selp.u32 %t1, 2, 0, %p2; or.b32 %d0, %d0, %t1;", func(a, b, c uint32) uint32 {
			return truth(a != b && b < c) | truth(a == b && b < c)<<1
		}},
		{"slct.s32.s32 %d0, %a0, %a1, %a2;", func(a, b, c uint32) uint32 {
			if s(c) >= 0 {
				return a
			}
			return b
		}},
		{"set.gt.u32.s32 %d0, %a0, %a1;", func(a, b, c uint32) uint32 { return -truth(s(a) > s(b)) }},
	} {
		got := lanes(t, i.code, 1, a, b, c)[0]
		for l := range got {
			if want := i.want(a[l], b[l], c[l]); got[l] != want {
				t.Errorf("%s of %#x, %#x, %#x is %#x, want %#x", i.code, a[l], b[l], c[l], got[l], want)
				break
			}
		}
	}
}

func truth(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// table is lop3 bit by bit: bit i of the result is the table's bit at the number made of the operands' bits.
func table(f, a, b, c uint32) (d uint32) {
	for i := range 32 {
		d |= f >> (a>>i&1<<2 | b>>i&1<<1 | c>>i&1) & 1 << i
	}
	return d
}

// bfe and bfi are the manual's pseudo-code.
func bfe(a, b, c uint32, signed bool) (d uint32) {
	pos, length := b&0xff, c&0xff
	sign := uint32(0)
	if signed && length != 0 {
		sign = a >> min(pos+length-1, 31) & 1
	}
	for i := range uint32(32) {
		bit := sign
		if i < length && pos+i <= 31 {
			bit = a >> (pos + i) & 1
		}
		d |= bit << i
	}
	return d
}

func bfi(a, b, c, n uint32) uint32 {
	pos, length := c&0xff, n&0xff
	for i := uint32(0); i < length && pos+i <= 31; i++ {
		b = b&^(1<<(pos+i)) | a>>i&1<<(pos+i)
	}
	return b
}

// rounded is x rounded to float32 in the mode, by way of arbitrary precision.
func rounded(x *big.Float, mode big.RoundingMode) float32 {
	if x.Sign() == 0 {
		return 0
	}
	// Bits there are at this exponent, fewer for subnormal results.
	bits := 24
	if e := x.MantExp(nil); e < -125 {
		bits -= -125 - e
	}
	if bits <= 0 { // below half of the least number, or about it
		least := big.NewFloat(math.SmallestNonzeroFloat32)
		y := new(big.Float).SetPrec(500).Add(x, new(big.Float).SetPrec(500).Mul(least, big.NewFloat(float64(x.Sign()*4))))
		r := rounded(y, mode)
		return r - float32(x.Sign()*4)*math.SmallestNonzeroFloat32
	}
	y := new(big.Float).SetPrec(uint(bits)).SetMode(mode).Set(x)
	v, _ := y.Float32()
	if math.IsInf(float64(v), 0) {
		toZero := mode == big.ToZero || mode == big.ToNegativeInf && x.Sign() > 0 || mode == big.ToPositiveInf && x.Sign() < 0
		if toZero {
			return math.MaxFloat32 * float32(x.Sign())
		}
	}
	return v
}

var modes = map[string]big.RoundingMode{"rn": big.ToNearestEven, "rz": big.ToZero, "rm": big.ToNegativeInf, "rp": big.ToPositiveInf}

// numbers are finite floats of all sizes, and pairs that nearly cancel or tie.
func numbers(r *rand.Rand) (a, b, c [32]uint32) {
	for i := range a {
		x := math.Float32frombits(r.Uint32()&0x807fffff | uint32(60+r.IntN(130))<<23)
		y := math.Float32frombits(r.Uint32()&0x807fffff | uint32(60+r.IntN(130))<<23)
		z := math.Float32frombits(r.Uint32()&0x807fffff | uint32(30+r.IntN(190))<<23)
		switch i % 6 {
		case 1:
			z = -x * y
		case 2: // a tie of the sum, with something beyond float64's bits
			x, y = 1+0x1p-23*float32(r.IntN(4)), 1
			z = 0x1p-24 + 0x1p-47*float32(r.IntN(3))
		case 3:
			x, y, z = float32(r.IntN(99))*0x1p-100, float32(r.IntN(99))*0x1p-47, float32(r.IntN(99))*math.SmallestNonzeroFloat32
		case 4:
			x, y, z = 1+0x1p-12, 1+0x1p-12, 0x1p-70
		case 5:
			y = x * (1 + 0x1p-20*float32(r.IntN(7)))
		}
		a[i], b[i], c[i] = math.Float32bits(x), math.Float32bits(y), math.Float32bits(z)
	}
	return a, b, c
}

func TestFloatRounding(t *testing.T) {
	exact := func(x float32) *big.Float { return new(big.Float).SetPrec(600).SetFloat64(float64(x)) }
	for _, op := range []struct {
		name  string
		n     int
		value func(a, b, c float32) *big.Float
	}{
		{"add", 2, func(a, b, _ float32) *big.Float { return new(big.Float).SetPrec(600).Add(exact(a), exact(b)) }},
		{"sub", 2, func(a, b, _ float32) *big.Float { return new(big.Float).SetPrec(600).Sub(exact(a), exact(b)) }},
		{"mul", 2, func(a, b, _ float32) *big.Float { return new(big.Float).SetPrec(600).Mul(exact(a), exact(b)) }},
		{"div", 2, func(a, b, _ float32) *big.Float { return new(big.Float).SetPrec(600).Quo(exact(a), exact(b)) }},
		{"fma", 3, func(a, b, c float32) *big.Float {
			p := new(big.Float).SetPrec(600).Mul(exact(a), exact(b))
			return p.Add(p, exact(c))
		}},
		{"rcp", 1, func(a, _, _ float32) *big.Float { return new(big.Float).SetPrec(600).Quo(big.NewFloat(1), exact(a)) }},
		{"sqrt", 1, func(a, _, _ float32) *big.Float {
			if a < 0 {
				return nil
			}
			return new(big.Float).SetPrec(600).Sqrt(exact(a))
		}},
	} {
		for name, mode := range modes {
			code := fmt.Sprintf("%s.%s.f32 %%d0", op.name, name)
			for i := range op.n {
				code += fmt.Sprintf(", %%a%d", i)
			}
			for seed := range uint64(20) {
				a, b, c := numbers(rand.New(rand.NewPCG(seed, 1)))
				got := lanes(t, code+";", 1, a, b, c)[0]
				for l := range got {
					x, y, z := math.Float32frombits(a[l]), math.Float32frombits(b[l]), math.Float32frombits(c[l])
					if y == 0 && op.name == "div" || x == 0 && op.name == "rcp" {
						continue
					}
					v := op.value(x, y, z)
					if v == nil {
						continue
					}
					want := rounded(v, mode)
					if g := math.Float32frombits(got[l]); g != want {
						t.Fatalf("%s of %b, %b, %b is %b, want %b", code, x, y, z, g, want)
					}
				}
			}
		}
	}
}

func TestFloatSpecialValues(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tiny := math.Float32frombits(1)
	for _, c := range []struct {
		code    string
		a, b, c float32
		want    float32
	}{
		{"min.f32 %d0, %a0, %a1;", nan, 3, 0, 3},
		{"max.f32 %d0, %a0, %a1;", 3, nan, 0, 3},
		{"max.NaN.f32 %d0, %a0, %a1;", 3, nan, 0, nan},
		{"add.sat.f32 %d0, %a0, %a1;", 1, 3, 0, 1},
		{"add.sat.f32 %d0, %a0, %a1;", nan, 3, 0, 0},
		{"fma.rn.sat.f32 %d0, %a0, %a1, %a2;", -1, 3, 1, 0},
		{"add.ftz.f32 %d0, %a0, %a1;", tiny, 0, 0, 0},
		{"mul.ftz.f32 %d0, %a0, %a1;", 0x1p-100, 0x1p-40, 0, 0},
		{"mul.f32 %d0, %a0, %a1;", 0x1p-100, 0x1p-40, 0, 0x1p-140},
		{"div.rn.f32 %d0, %a0, %a1;", 1, 0, 0, inf},
		{"rcp.approx.ftz.f32 %d0, %a0;", tiny, 0, 0, inf},
		{"ex2.approx.f32 %d0, %a0;", -inf, 0, 0, 0},
		{"ex2.approx.ftz.f32 %d0, %a0;", -140, 0, 0, 0},
		{"lg2.approx.f32 %d0, %a0;", 0, 0, 0, -inf},
		{"lg2.approx.f32 %d0, %a0;", -1, 0, 0, nan},
		{"rsqrt.approx.f32 %d0, %a0;", 0, 0, 0, inf},
		{"sqrt.approx.f32 %d0, %a0;", -1, 0, 0, nan},
		{"div.approx.f32 %d0, %a0, %a1;", 3, 0x1p127, 0, 0},
		{"div.full.f32 %d0, %a0, %a1;", 3, 2, 0, 1.5},
		{"neg.f32 %d0, %a0;", 3, 0, 0, -3},
		{"abs.f32 %d0, %a0;", -3, 0, 0, 3},
		{"copysign.f32 %d0, %a0, %a1;", -1, 3, 0, -3},
		{"setp.ltu.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", nan, 3, 0, 1},
		{"setp.ltu.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", 3, 4, 0, 1},
		{"setp.ltu.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", 4, 3, 0, 0},
		{"setp.leu.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", 4, 3, 0, 0},
		{"setp.gtu.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", 4, 3, 0, 1},
		{"setp.geu.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", 3, 4, 0, 0},
		{"setp.gt.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", 4, 3, 0, 1},
		{"setp.ge.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", nan, 3, 0, 0},
		{"setp.equ.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", 4, 3, 0, 0},
		{"setp.lt.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", nan, 3, 0, 0},
		{"setp.ne.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", nan, 3, 0, 0},
		{"setp.neu.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", nan, 3, 0, 1},
		{"setp.equ.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", nan, 3, 0, 1},
		{"setp.geu.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", 4, 3, 0, 1},
		{"setp.gtu.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", 3, 3, 0, 0},
		{"setp.leu.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", 3, 3, 0, 1},
		{"setp.num.f32 %p0, %a0, %a1; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", 3, nan, 0, 0},
		{"testp.infinite.f32 %p0, %a0; selp.f32 %d0, 0f3F800000, 0f00000000, %p0;", -inf, 0, 0, 1},
		{"cvt.f64.f32 %l0, %a0; cvt.f64.f32 %l1, %a1; fma.rn.f64 %l0, %l0, %l1, 0d3FF0000000000000; cvt.rn.f32.f64 %d0, %l0;", 3, 5, 0, 16},
	} {
		got := math.Float32frombits(lanes(t, c.code, 1, each32f(c.a), each32f(c.b), each32f(c.c))[0][5])
		if got != c.want && !(got != got && c.want != c.want) {
			t.Errorf("%s of %g, %g, %g is %g, want %g", c.code, c.a, c.b, c.c, got, c.want)
		}
	}
}

// The approximate functions within the error the manual allows.
func TestApproximations(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		code     string
		low, top float64
		f        func(float64) float64
		relative float64
		absolute float64
	}{
		{"ex2.approx.f32", -126, 126, math.Exp2, math.Exp2(-22.5), 0},
		{"lg2.approx.f32", 0.5, 2, math.Log2, 0, 0x1p-22},
		{"lg2.approx.f32", 2, 1e30, math.Log2, 0x1p-22, 0},
		{"sin.approx.f32", -math.Pi, math.Pi, math.Sin, 0, math.Exp2(-20.5)},
		{"cos.approx.f32", -math.Pi, math.Pi, math.Cos, 0, math.Exp2(-20.5)},
		{"rcp.approx.f32", 0.001, 1000, func(x float64) float64 { return 1 / x }, 0x1p-23, 0},
		{"rsqrt.approx.f32", 0.001, 1000, func(x float64) float64 { return 1 / math.Sqrt(x) }, math.Exp2(-22.9), 0},
		{"sqrt.approx.f32", 0.001, 1000, math.Sqrt, 0x1p-23, 0},
		{"tanh.approx.f32", -5, 5, math.Tanh, 0x1p-11, 0},
	} {
		for range 10 {
			var a [32]uint32
			for i := range a {
				a[i] = math.Float32bits(float32(c.low + (c.top-c.low)*r.Float64()))
			}
			got := lanes(t, c.code+" %d0, %a0;", 1, a)[0]
			for i := range got {
				x := float64(math.Float32frombits(a[i]))
				want, g := c.f(x), float64(math.Float32frombits(got[i]))
				if math.Abs(g-want) > c.absolute+c.relative*math.Abs(want) {
					t.Fatalf("%s of %g is %g, want %g", c.code, x, g, want)
				}
			}
		}
	}
}

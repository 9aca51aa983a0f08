package sim_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// format is a floating format of 16 bits.
type format struct {
	name               string
	exponent, mantissa int
}

// value is the number that an encoding stands for.
func (f format) value(h uint32) float64 {
	e, m := h>>f.mantissa&(1<<f.exponent-1), h&(1<<f.mantissa-1)
	bias := 1<<(f.exponent-1) - 1
	v := 0.0
	switch {
	case e == 1<<f.exponent-1 && m != 0:
		return math.NaN()
	case e == 1<<f.exponent-1:
		v = math.Inf(1)
	case e == 0:
		v = math.Ldexp(float64(m), 1-bias-f.mantissa)
	default:
		v = math.Ldexp(float64(m|1<<f.mantissa), int(e)-bias-f.mantissa)
	}
	if h>>(f.exponent+f.mantissa) != 0 {
		v = -v
	}
	return v
}

// round is the encoding of x, found by looking at the neighbours among all encodings.
func (f format) round(x float32, mode string) uint32 {
	sign, size := uint32(0), math.Abs(float64(x))
	if math.Signbit(float64(x)) {
		sign = 1 << (f.exponent + f.mantissa)
	}
	infinity := uint32(1<<f.exponent-1) << f.mantissa
	if x != x {
		return 0x7fff
	}
	low := uint32(0) // the largest encoding not above
	for step := infinity; step > 0; step >>= 1 {
		for low+step <= infinity && f.value(low+step) <= size {
			low += step
		}
	}
	if f.value(low) == size {
		return sign | low
	}
	high := low + 1
	below, above := size-f.value(low), f.value(high)-size
	if high == infinity { // as if the format went on
		above = 2*f.value(low) - f.value(low-1) - size
	}
	switch mode {
	case "rz":
		return sign | low
	case "rn":
		if below > above || below == above && low&1 == 1 {
			return sign | high
		}
	}
	return sign | low
}

func TestConversionTo16Bits(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, f := range []format{{"bf16", 8, 7}, {"f16", 5, 10}} {
		for range 40 {
			var a, b [32]uint32
			for i := range a {
				a[i], b[i] = r.Uint32(), r.Uint32()
				if i%2 == 0 { // within f16's range, its subnormals and just beyond
					a[i] = a[i]&0x807fffff | uint32(100+r.IntN(46))<<23
				}
				switch i % 8 {
				case 3: // ties of bf16
					a[i] = a[i]&^0xffff | 0x8000
				case 5: // and of f16
					a[i] = a[i]&0x807fe000 | 0x1000 | uint32(113+r.IntN(30))<<23
				case 7:
					a[i] = []uint32{0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f7fffff, 1, 0x477fe000, 0x477ff000, 0x477fefff, 0x33000000, 0x33000001}[r.IntN(12)]
				}
			}
			for _, mode := range []string{"rn", "rz"} {
				code := fmt.Sprintf("cvt.%s.%s.f32 %%h0, %%a0; mov.b32 %%d0, {%%h0, 0}; cvt.%s.%sx2.f32 %%d1, %%a0, %%a1;", mode, f.name, mode, f.name)
				got := lanes(t, code, 2, a, b)
				for i := range a {
					want := f.round(math.Float32frombits(a[i]), mode)
					pair := want<<16 | f.round(math.Float32frombits(b[i]), mode)
					if got[0][i] != want || got[1][i] != pair {
						t.Fatalf("%s of %#x is %#x and %#x, want %#x and %#x", code, a[i], got[0][i], got[1][i], want, pair)
					}
				}
			}
		}
	}
}

func TestConversionFrom16Bits(t *testing.T) {
	for _, f := range []format{{"bf16", 8, 7}, {"f16", 5, 10}} {
		for h := uint32(0); h < 1<<16; h += 32 {
			code := "cvt.u16.u32 %h0, %a0; cvt.f32.f16 %d0, %h0;"
			if f.name == "bf16" {
				code = "cvt.u16.u32 %h0, %a0; mov.b32 %d0, {0, %h0};" // as cuda_bf16.h has it for sm_80
			}
			for i, v := range lanes(t, code, 1, lane(1, h))[0] {
				want := f.value(h + uint32(i))
				if got := float64(math.Float32frombits(v)); got != want && !(got != got && want != want) {
					t.Fatalf("%s %#x is %g, want %g", f.name, h+uint32(i), got, want)
				}
			}
			if h%2048 == 0 {
				h += 1024
			}
		}
	}
}

// Arithmetic in half precision is rounded once.
func TestHalfArithmetic(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, f := range []format{{"bf16", 8, 7}, {"f16", 5, 10}} {
		finite := func() uint32 {
			e := uint32(1<<(f.exponent-1)-6) + r.Uint32N(10)
			return r.Uint32()&1<<15 | e<<f.mantissa | r.Uint32()&(1<<f.mantissa-1)
		}
		for range 30 {
			var a, b, c [32]uint32
			for i := range a {
				a[i], b[i], c[i] = finite()<<16|finite(), finite()<<16|finite(), finite()<<16|finite()
			}
			got := lanes(t, fmt.Sprintf("fma.rn.%[1]sx2 %%d0, %%a0, %%a1, %%a2; max.%[1]sx2 %%d1, %%a0, %%a1; neg.%[1]sx2 %%d2, %%a0;", f.name), 3, a, b, c)
			for i := range a {
				for s := 0; s < 32; s += 16 {
					x, y, z := f.value(a[i]>>s&0xffff), f.value(b[i]>>s&0xffff), f.value(c[i]>>s&0xffff)
					exact := new(big.Float).SetPrec(200).Mul(big.NewFloat(x), big.NewFloat(y))
					exact.Add(exact, big.NewFloat(z))
					// Rounded to the format's precision; no result is subnormal or overflows.
					want, _ := new(big.Float).SetPrec(uint(f.mantissa + 1)).SetMode(big.ToNearestEven).Set(exact).Float64()
					if g := f.value(got[0][i] >> s & 0xffff); g != want {
						t.Fatalf("%s: fma of %g, %g, %g is %g, want %g", f.name, x, y, z, g, want)
					}
					if g := f.value(got[1][i] >> s & 0xffff); g != max(x, y) {
						t.Fatalf("%s: max of %g, %g is %g", f.name, x, y, g)
					}
					if g := f.value(got[2][i] >> s & 0xffff); g != -x {
						t.Fatalf("%s: neg of %g is %g", f.name, x, g)
					}
				}
			}
		}
	}
}

// Conversions one by one, with what the manual says of rounding, clamping and NaN.
func TestConversions(t *testing.T) {
	f := math.Float32bits
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		code string
		in   uint32
		want uint32
	}{
		{"cvt.rni.s32.f32 %d0, %a0;", f(2.5), 2},
		{"cvt.rni.s32.f32 %d0, %a0;", f(3.5), 4},
		{"cvt.rni.s32.f32 %d0, %a0;", f(-2.5), ^uint32(1)},
		{"cvt.rzi.s32.f32 %d0, %a0;", f(-2.7), ^uint32(1)},
		{"cvt.rmi.s32.f32 %d0, %a0;", f(-2.1), ^uint32(2)},
		{"cvt.rpi.s32.f32 %d0, %a0;", f(2.1), 3},
		{"cvt.rzi.s32.f32 %d0, %a0;", f(3e9), 0x7fffffff},
		{"cvt.rzi.s32.f32 %d0, %a0;", f(-inf), 0x80000000},
		{"cvt.rzi.u32.f32 %d0, %a0;", f(-3), 0},
		{"cvt.rzi.u32.f32 %d0, %a0;", f(3e9), 3000000000},
		{"cvt.rzi.u32.f32 %d0, %a0;", f(inf), 0xffffffff},
		{"cvt.rzi.s32.f32 %d0, %a0;", f(nan), 0},
		{"cvt.rzi.u8.f32 %d0, %a0;", f(300), 255},
		{"cvt.rni.u8.f32 %d0, %a0;", f(127.5), 128},
		{"cvt.rzi.s64.f32 %l0, %a0; mov.b64 {%t1, %d0}, %l0;", f(nan), 0x80000000},
		{"cvt.rzi.u64.f32 %l0, %a0; mov.b64 {%t1, %d0}, %l0;", f(0x1p63), 0x80000000},
		{"cvt.rni.f32.f32 %d0, %a0;", f(2.5), f(2)},
		{"cvt.rmi.f32.f32 %d0, %a0;", f(-2.5), f(-3)},
		{"cvt.rpi.f32.f32 %d0, %a0;", f(2.1), f(3)},
		{"cvt.rzi.f32.f32 %d0, %a0;", f(-2.9), f(-2)},
		{"cvt.sat.f32.f32 %d0, %a0;", f(1.5), f(1)},
		{"cvt.sat.f32.f32 %d0, %a0;", f(-1.5), 0},
		{"cvt.sat.f32.f32 %d0, %a0;", f(nan), 0},
		{"cvt.ftz.f32.f32 %d0, %a0;", 3, 0},
		{"cvt.rn.f32.s32 %d0, %a0;", 16777217, f(16777216)},
		{"cvt.rn.f32.s32 %d0, %a0;", 16777219, f(16777220)},
		{"cvt.rz.f32.s32 %d0, %a0;", 16777219, f(16777218)},
		{"cvt.rp.f32.s32 %d0, %a0;", 16777217, f(16777218)},
		{"cvt.rm.f32.s32 %d0, %a0;", ^uint32(16777216), f(-16777218)},
		{"cvt.rn.f32.u32 %d0, %a0;", 0xffffffff, f(0x1p32)},
		{"cvt.rn.f32.u8 %d0, %a0;", 0x1ff, f(255)},
		{"cvt.rn.f32.s8 %d0, %a0;", 0x1ff, f(-1)},
		{"cvt.s64.s32 %l0, %a0; shl.b64 %l0, %l0, 31; or.b64 %l0, %l0, 1; cvt.rn.f32.s64 %d0, %l0;", 0x1000001 << 4, f(0x1000002p35)},
		{"cvt.s32.s8 %d0, %a0;", 0x1ff, ^uint32(0)},
		{"cvt.s32.s16 %d0, %a0;", 0x8000, 0xffff8000},
		{"cvt.u32.u8 %d0, %a0;", 0x1ff, 255},
		{"cvt.u16.u32 %h0, %a0; cvt.u32.u16 %d0, %h0;", 0x12345, 0x2345},
		{"cvt.sat.u8.s32 %d0, %a0;", 300, 255},
		{"cvt.sat.u8.s32 %d0, %a0;", ^uint32(4), 0},
		{"cvt.sat.s8.s32 %d0, %a0;", ^uint32(299), 0xffffff80},
		{"cvt.sat.s16.u32 %d0, %a0;", 70000, 32767},
		{"cvt.s64.s32 %l0, %a0; mov.b64 {%t1, %d0}, %l0;", 0x80000000, 0xffffffff},
		{"cvt.u64.u32 %l0, %a0; mov.b64 {%t1, %d0}, %l0;", 0x80000000, 0},
		{"cvt.f64.f32 %l0, %a0; cvt.rn.f32.f64 %d0, %l0;", f(1.25), f(1.25)},
		{"cvt.f64.f32 %l0, %a0; add.rn.f64 %l0, %l0, 0d3E70000000000000; cvt.rn.f32.f64 %d0, %l0;", f(1), f(1)},
		{"cvt.f64.f32 %l0, %a0; add.rn.f64 %l0, %l0, 0d3E70000000000000; cvt.rp.f32.f64 %d0, %l0;", f(1), f(1) + 1},
		{"cvt.rna.tf32.f32 %d0, %a0;", 0x3f801000, 0x3f802000},
		{"cvt.rna.tf32.f32 %d0, %a0;", 0x3f800fff, 0x3f800000},
		{"cvt.rna.tf32.f32 %d0, %a0;", 0xbf801000, 0xbf802000},
		{"cvt.rn.relu.bf16.f32 %h0, %a0; mov.b32 %d0, {%h0, 0};", f(-3), 0},
		{"cvt.rn.f16.s32 %h0, %a0; mov.b32 %d0, {%h0, 0};", 2049, 0x6800},
		{"cvt.rni.s32.f16 %d0, %h0;", 0, 0},
	} {
		code := c.code
		if c.code == "cvt.rni.s32.f16 %d0, %h0;" { // of 1.5
			code = "mov.b16 %h0, 0x3e00; " + c.code
			c.want = 2
		}
		if got := lanes(t, code, 1, each(c.in))[0][7]; got != c.want {
			t.Errorf("%s of %#x is %#x, want %#x", c.code, c.in, got, c.want)
		}
	}
}

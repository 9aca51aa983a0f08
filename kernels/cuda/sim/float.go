package sim

import "math"

// floats maps a floating instruction, without .ftz, .sat and the default
// rounding, to what it does.
var floats = func() map[string]operation {
	t := map[string]operation{
		"add.f32": {2, lanes32(add32[float32])},
		"sub.f32": {2, lanes32(sub32[float32])},
		"mul.f32": {2, lanes32(mul32[float32])},
		"div.f32": {2, lanes32(div32)},
		"fma.f32": {3, lanes32(fma32)},
		"mad.f32": {3, lanes32(fma32)},
		"add.f64": {2, lanes64(add64[float64])},
		"sub.f64": {2, lanes64(sub64[float64])},
		"mul.f64": {2, lanes64(mul64[float64])},
		"div.f64": {2, float64s(func(a, b, _ float64) float64 { return a / b })},
		"fma.f64": {3, float64s(math.FMA)},
		"mad.f64": {3, float64s(math.FMA)},
	}
	one := func(op string, f func(a float32) float32) {
		t[op] = operation{1, float32s(func(a, _, _ float32) float32 { return f(a) })}
	}
	two := func(op string, f func(a, b float32) float32) {
		t[op] = operation{2, float32s(func(a, b, _ float32) float32 { return f(a, b) })}
	}
	one64 := func(op string, f func(a float64) float64) {
		t[op] = operation{1, float64s(func(a, _, _ float64) float64 { return f(a) })}
	}
	two64 := func(op string, f func(a, b float64) float64) {
		t[op] = operation{2, float64s(func(a, b, _ float64) float64 { return f(a, b) })}
	}
	// In the middle of float64 every one of these has more than twice float32's bits, so rounding twice is harmless.
	in64 := func(f func(a float64) float64) func(float32) float32 {
		return func(a float32) float32 { return float32(f(float64(a))) }
	}

	one("neg.f32", func(a float32) float32 { return -a })
	one("abs.f32", func(a float32) float32 { return math.Float32frombits(math.Float32bits(a) & 0x7fffffff) })
	one("rcp.f32", func(a float32) float32 { return 1 / a })
	one("sqrt.f32", in64(math.Sqrt))
	one("rcp.approx.f32", func(a float32) float32 { return 1 / a })
	one("sqrt.approx.f32", in64(math.Sqrt))
	one("rsqrt.approx.f32", in64(func(a float64) float64 { return 1 / math.Sqrt(a) }))
	one("sin.approx.f32", in64(math.Sin))
	one("cos.approx.f32", in64(math.Cos))
	one("lg2.approx.f32", in64(math.Log2))
	one("ex2.approx.f32", in64(math.Exp2))
	one("tanh.approx.f32", in64(math.Tanh))
	two("div.approx.f32", divideApprox)
	two("div.full.f32", func(a, b float32) float32 { return a / b })
	two("min.f32", func(a, b float32) float32 { return minFloat(a, b) })
	two("max.f32", func(a, b float32) float32 { return maxFloat(a, b) })
	two("min.NaN.f32", func(a, b float32) float32 { return min(a, b) })
	two("max.NaN.f32", func(a, b float32) float32 { return max(a, b) })
	two("copysign.f32", func(a, b float32) float32 {
		return math.Float32frombits(math.Float32bits(b)&0x7fffffff | math.Float32bits(a)&0x80000000)
	})
	one64("neg.f64", func(a float64) float64 { return -a })
	one64("abs.f64", math.Abs)
	one64("rcp.f64", func(a float64) float64 { return 1 / a })
	one64("sqrt.f64", math.Sqrt)
	one64("rsqrt.approx.f64", func(a float64) float64 { return 1 / math.Sqrt(a) })
	// Only the upper 32 bits of the operand and of the result exist (PTX ISA, rcp.approx.ftz.f64).
	one64("rcp.approx.f64", func(a float64) float64 { return upperHalf(1 / upperHalf(a)) })
	two64("min.f64", func(a, b float64) float64 { return minFloat(a, b) })
	two64("max.f64", func(a, b float64) float64 { return maxFloat(a, b) })
	two64("copysign.f64", func(a, b float64) float64 { return math.Copysign(b, a) })

	for name, mode := range map[string]rounding{"rz": roundZero, "rm": roundDown, "rp": roundUp} {
		two("add."+name+".f32", func(a, b float32) float32 { return sumRounded(a, b, mode) })
		two("sub."+name+".f32", func(a, b float32) float32 { return sumRounded(a, -b, mode) })
		two("mul."+name+".f32", func(a, b float32) float32 { return round32(float64(a)*float64(b), 0, mode) })
		t["fma."+name+".f32"] = operation{3, float32s(func(a, b, c float32) float32 {
			s, e := fmaParts(a, b, c)
			return round32(s, e, mode)
		})}
		two("div."+name+".f32", func(a, b float32) float32 { return divideRounded(a, b, mode) })
		one("rcp."+name+".f32", func(a float32) float32 { return divideRounded(1, a, mode) })
		one("sqrt."+name+".f32", func(a float32) float32 {
			s := math.Sqrt(float64(a))
			return round32(s, math.FMA(-s, s, float64(a)), mode) // of the remainder only the sign counts
		})
	}
	halves(t)
	return t
}()

func upperHalf(a float64) float64 { return math.Float64frombits(math.Float64bits(a) &^ 0xffffffff) }

// divideApprox is div.approx.f32: 0 for divisors beyond 2^126, where the reciprocal would be subnormal.
func divideApprox(a, b float32) float32 {
	if size := math.Abs(float64(b)); size > 0x1p126 && !math.IsInf(size, 0) {
		if math.IsInf(float64(a), 0) {
			return float32(math.NaN())
		}
		return float32(math.Copysign(0, float64(a)*math.Copysign(1, float64(b))))
	}
	return a / b
}

func sumRounded(a, b float32, mode rounding) float32 {
	s, e := twoSum(float64(a), float64(b))
	if math.IsInf(s, 0) || s != s {
		e = 0
	}
	if s == 0 && e == 0 && mode == roundDown && (a != 0 || math.Signbit(float64(a)) != math.Signbit(float64(b))) {
		return float32(math.Copysign(0, -1)) // x − x is −0 when rounding down
	}
	return round32(s, e, mode)
}

// divideRounded rounds the quotient by the sign of the remainder.
func divideRounded(a, b float32, mode rounding) float32 {
	q := float64(a) / float64(b)
	if q != q || math.IsInf(q, 0) {
		return float32(q)
	}
	e := math.FMA(-q, float64(b), float64(a))
	if b < 0 {
		e = -e
	}
	return round32(q, e, mode)
}

// minFloat and maxFloat give the number when one operand is NaN, and order −0 before +0.
func minFloat[T float32 | float64](a, b T) T {
	switch {
	case a != a:
		return b
	case b != b:
		return a
	}
	return min(a, b)
}

func maxFloat[T float32 | float64](a, b T) T {
	switch {
	case a != a:
		return b
	case b != b:
		return a
	}
	return max(a, b)
}

// halves adds the instructions on f16 and bf16 and their pairs. Sums and products
// of these are exact enough in float64 to be rounded once.
func halves(t map[string]operation) {
	for _, f := range []struct {
		name  string
		read  func(uint32) float32
		write func(float32, rounding) uint32
	}{
		{"f16", fromHalf, toHalf}, {"bf16", fromBFloat16, toBFloat16},
	} {
		put := func(op string, n int, g func(a, b, c uint32) uint32) {
			t[op+"."+f.name] = operation{n, each32(func(a, b, c uint32) uint32 { return g(a&0xffff, b&0xffff, c&0xffff) })}
			t[op+"."+f.name+"x2"] = operation{n, each32(func(a, b, c uint32) uint32 {
				return g(a&0xffff, b&0xffff, c&0xffff) | g(a>>16, b>>16, c>>16)<<16
			})}
		}
		// x is rounded to odd in float32 first, so that the second rounding sees what was lost.
		round := func(x float64, e float64) uint32 { return f.write(roundOdd(x, e), roundNearest) }
		fma := func(a, b, c uint32) (float64, float64) { return fmaParts(f.read(a), f.read(b), f.read(c)) }
		put("fma", 3, func(a, b, c uint32) uint32 { return round(fma(a, b, c)) })
		put("fma.relu", 3, func(a, b, c uint32) uint32 {
			s, e := fma(a, b, c)
			if s < 0 || s == 0 && math.Signbit(s) {
				return 0
			}
			return round(s, e)
		})
		put("add", 2, func(a, b, _ uint32) uint32 { return round(twoSum(float64(f.read(a)), float64(f.read(b)))) })
		put("sub", 2, func(a, b, _ uint32) uint32 { return round(twoSum(float64(f.read(a)), -float64(f.read(b)))) })
		put("mul", 2, func(a, b, _ uint32) uint32 { return round(float64(f.read(a))*float64(f.read(b)), 0) })
		put("neg", 1, func(a, _, _ uint32) uint32 { return a ^ 0x8000 })
		put("abs", 1, func(a, _, _ uint32) uint32 { return a & 0x7fff })
		put("min", 2, func(a, b, _ uint32) uint32 { return f.write(minFloat(f.read(a), f.read(b)), roundNearest) })
		put("max", 2, func(a, b, _ uint32) uint32 { return f.write(maxFloat(f.read(a), f.read(b)), roundNearest) })
		put("min.NaN", 2, func(a, b, _ uint32) uint32 { return f.write(min(f.read(a), f.read(b)), roundNearest) })
		put("max.NaN", 2, func(a, b, _ uint32) uint32 { return f.write(max(f.read(a), f.read(b)), roundNearest) })
		put("ex2.approx", 1, func(a, _, _ uint32) uint32 {
			return f.write(float32(math.Exp2(float64(f.read(a)))), roundNearest)
		})
		put("tanh.approx", 1, func(a, _, _ uint32) uint32 {
			return f.write(float32(math.Tanh(float64(f.read(a)))), roundNearest)
		})
	}
}

// roundOdd rounds s + e to float32 such that the last bit is set whenever
// anything was cut off; rounding that to fewer bits is then as if done at once.
func roundOdd(s, e float64) float32 {
	r := round32(s, e, roundZero)
	if s == s && !math.IsInf(float64(r), 0) && (float64(r) != s || e != 0) {
		r = math.Float32frombits(math.Float32bits(r) | 1)
	}
	return r
}

package sim

import (
	"math"
	"strings"
)

// number is a value between the two types of a conversion: an integer or a float64.
type number struct {
	integer  uint64
	negative bool // integer is to be read as int64 and is below zero
	float    float64
}

// cvt decodes conversions. Registers may be wider than the types.
func (d *decoder) cvt() {
	st := d.st
	var kinds []string
	mode, given := roundNearest, false
	integral := false
	ftz, sat, relu := false, false, false
	for _, p := range st.parts[1:] {
		if m, ok := roundingOf(p); ok {
			mode, given = m, true
			integral = strings.HasSuffix(p, "i")
			continue
		}
		switch p {
		case "ftz":
			ftz = true
		case "sat":
			sat = true
		case "relu":
			relu = true
		case "pack", "satfinite", "scaled":
			d.fail("instruction %s is not known", st.opcode)
		default:
			if _, ok := typeBytes("." + p); !ok {
				d.fail("instruction %s is not known", st.opcode)
			}
			kinds = append(kinds, p)
		}
	}
	if len(kinds) != 2 {
		d.fail("a conversion between two types")
	}
	to, from := kinds[0], kinds[1]
	if to == "bf16x2" || to == "f16x2" {
		d.pair(to, from, mode, relu)
		return
	}
	d.count(2)
	source := d.operand(1)
	target := d.operand(0)
	if target.kind != isRegister {
		d.fail("a destination that is no register")
	}
	convert := d.conversion(to, from, mode, given && integral, ftz, sat, relu, target.reg.bits)
	out := d.destination(target, target.reg.file)
	if target.reg.file == predicates {
		d.fail("a conversion to a predicate")
	}
	var in int
	fromDoubles := source.kind == isRegister && source.reg.file == doubles || source.kind != isRegister && source.kind != isSpecial && strings.HasSuffix(from, "64")
	if fromDoubles {
		in = d.source64(source, isFloat(from))
	} else {
		in = d.source32(source, isFloat(from))
	}
	if quick := quickConversion(to, from, mode, integral, ftz || sat || relu, target.reg, fromDoubles); quick != nil {
		d.in.run = quick(out, in)
		return
	}
	get := func(w *warp, i int) uint64 { return uint64(w.words[in][i]) }
	if fromDoubles {
		get = func(w *warp, i int) uint64 { return w.doubles[in][i] }
	}
	if target.reg.file == doubles {
		d.in.run = func(w *warp, mask uint32) {
			for i := range 32 {
				if mask>>i&1 != 0 {
					w.doubles[out][i] = convert(get(w, i))
				}
			}
		}
		return
	}
	d.in.run = func(w *warp, mask uint32) {
		for i := range 32 {
			if mask>>i&1 != 0 {
				w.words[out][i] = uint32(convert(get(w, i)))
			}
		}
	}
}

// quickConversion has loops of their own for the conversions between indices of
// 32 and 64 bits and from them to float32, which are in every kernel.
func quickConversion(to, from string, mode rounding, integral, special bool, target *register, fromDoubles bool) func(out, in int) action {
	wide := func(f func(d *vec64, a *vec32)) func(out, in int) action {
		return func(out, in int) action {
			return func(w *warp, mask uint32) {
				if mask == ^uint32(0) {
					f(&w.doubles[out], &w.words[in])
					return
				}
				f(&w.scratch64, &w.words[in])
				merge64(&w.doubles[out], &w.scratch64, mask)
			}
		}
	}
	if special {
		return nil
	}
	switch {
	case to == "u64" && from == "u32" && target.file == doubles && !fromDoubles:
		return wide(func(d *vec64, a *vec32) {
			for i := range d {
				d[i] = uint64(a[i])
			}
		})
	case (to == "s64" || to == "u64") && from == "s32" && target.file == doubles && !fromDoubles:
		return wide(func(d *vec64, a *vec32) {
			for i := range d {
				d[i] = uint64(int64(int32(a[i])))
			}
		})
	case (to == "u32" || to == "s32") && (from == "u64" || from == "s64") && target.file == words && target.bits == 32 && fromDoubles:
		return func(out, in int) action {
			return func(w *warp, mask uint32) {
				for i, v := range w.doubles[in] {
					w.scratch32[i] = uint32(v)
				}
				merge32(&w.words[out], &w.scratch32, mask)
			}
		}
	case to == "bf16" && from == "f32" && mode == roundNearest && !integral:
		return func(out, in int) action {
			return func(w *warp, mask uint32) {
				for i, v := range w.words[in] {
					w.scratch32[i] = toBFloat16(math.Float32frombits(v), roundNearest)
				}
				merge32(&w.words[out], &w.scratch32, mask)
			}
		}
	}
	return nil
}

// pair decodes cvt.bf16x2.f32 d, a, b: a goes to the upper half.
func (d *decoder) pair(to, from string, mode rounding, relu bool) {
	d.count(3)
	if from != "f32" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	write := toHalf
	if to == "bf16x2" {
		write = toBFloat16
	}
	one := func(v uint32) uint32 {
		x := math.Float32frombits(v)
		if relu && x <= 0 {
			x = 0
		}
		return write(x, mode)
	}
	d.apply(operation{2, each32(func(a, b, _ uint32) uint32 { return one(a)<<16 | one(b) })}, "b32", 32)
}

func typeWidth(t string) int {
	n, _ := typeBytes("." + t)
	return 8 * n
}

// conversion gives the function of one lane. registerBits is the width of the
// destination, to which a narrower integer is extended.
func (d *decoder) conversion(to, from string, mode rounding, integral, ftz, sat, relu bool, registerBits int) func(uint64) uint64 {
	read := reader(from, ftz)
	if isFloat(to) || to == "tf32" {
		return d.toFloat(read, to, from, mode, integral, ftz, sat, relu)
	}
	width := typeWidth(to)
	signed := to[0] == 's'
	low, high := uint64(0), ^uint64(0)>>(64-width)
	if signed {
		high >>= 1
		low = ^high
	}
	extend := func(v uint64) uint64 {
		v &= ^uint64(0) >> (64 - width)
		if signed {
			v = uint64(int64(v) << (64 - width) >> (64 - width))
		}
		return v & (^uint64(0) >> (64 - max(registerBits, 16)))
	}
	if !isFloat(from) {
		return func(v uint64) uint64 {
			n := read(v)
			if sat {
				switch {
				case n.negative && !signed:
					n.integer = 0
				case n.negative:
					n.integer = uint64(max(int64(n.integer), int64(low)))
				default:
					n.integer = min(n.integer, high)
				}
			}
			return extend(n.integer)
		}
	}
	// A number out of range becomes the nearest in range. NaN becomes 0, or the
	// highest bit alone where 64 bits are involved.
	nan := uint64(0)
	if from == "f64" || width == 64 {
		nan = 1 << (width - 1)
	}
	return func(v uint64) uint64 {
		x := roundIntegral(read(v).float, mode)
		switch {
		case x != x:
			return extend(nan)
		case signed && x >= float64(high):
			return extend(high)
		case signed && x <= float64(int64(low)):
			return extend(low)
		case signed:
			return extend(uint64(int64(x)))
		case x <= 0:
			return 0
		case x >= float64(high):
			return extend(high)
		}
		return extend(uint64(x))
	}
}

// reader takes a register's bits apart.
func reader(from string, ftz bool) func(uint64) number {
	switch from {
	case "f64":
		return func(v uint64) number { return number{float: math.Float64frombits(v)} }
	case "f32":
		return func(v uint64) number {
			x := math.Float32frombits(uint32(v))
			if ftz {
				x = flush(x)
			}
			return number{float: float64(x)}
		}
	case "f16":
		return func(v uint64) number { return number{float: float64(fromHalf(uint32(v) & 0xffff))} }
	case "bf16":
		return func(v uint64) number { return number{float: float64(fromBFloat16(uint32(v) & 0xffff))} }
	}
	width := typeWidth(from)
	signed := from[0] == 's'
	return func(v uint64) number {
		if signed {
			n := int64(v) << (64 - width) >> (64 - width)
			return number{integer: uint64(n), negative: n < 0}
		}
		return number{integer: v & (^uint64(0) >> (64 - width))}
	}
}

func roundIntegral(x float64, mode rounding) float64 {
	switch mode {
	case roundZero:
		return math.Trunc(x)
	case roundDown:
		return math.Floor(x)
	case roundUp:
		return math.Ceil(x)
	}
	return math.RoundToEven(x)
}

func (d *decoder) toFloat(read func(uint64) number, to, from string, mode rounding, integral, ftz, sat, relu bool) func(uint64) uint64 {
	if !isFloat(from) { // a sum of two exact float64
		return func(v uint64) uint64 {
			n := read(v)
			magnitude := n.integer
			if n.negative {
				magnitude = -magnitude
			}
			s, e := twoSum(float64(magnitude&^0x7ff), float64(magnitude&0x7ff))
			if n.negative {
				s, e = -s, -e
			}
			return d.writeFloat(s, e, to, mode, ftz, sat, relu)
		}
	}
	return func(v uint64) uint64 {
		x, m := read(v).float, mode
		if integral {
			x, m = roundIntegral(x, mode), roundNearest
		}
		return d.writeFloat(x, 0, to, m, ftz, sat, relu)
	}
}

// writeFloat rounds s + e to the type.
func (d *decoder) writeFloat(s, e float64, to string, mode rounding, ftz, sat, relu bool) uint64 {
	if sat {
		if !(s > 0) {
			s, e = 0, 0
		} else if s >= 1 {
			s, e = 1, 0
		}
	}
	if relu && s <= 0 {
		s, e = 0, 0
	}
	switch to {
	case "f64":
		return math.Float64bits(round64(s, e, mode))
	case "f32":
		x := round32(s, e, mode)
		if ftz {
			x = flush(x)
		}
		return uint64(math.Float32bits(x))
	}
	x := roundOdd(s, e)
	switch to {
	case "f16":
		return uint64(toHalf(x, mode))
	case "bf16":
		return uint64(toBFloat16(x, mode))
	}
	return uint64(toTF32(x, mode))
}

// round64 rounds s + e to float64, where s is the nearest already.
func round64(s, e float64, mode rounding) float64 {
	towards := func(up bool) float64 {
		if up {
			return math.Nextafter(s, math.Inf(1))
		}
		return math.Nextafter(s, math.Inf(-1))
	}
	switch {
	case e == 0 || mode == roundNearest:
		return s
	case mode == roundDown && e < 0, mode == roundUp && e > 0:
		return towards(e > 0)
	case mode == roundZero && (s > 0) == (e < 0):
		return towards(e > 0)
	}
	return s
}

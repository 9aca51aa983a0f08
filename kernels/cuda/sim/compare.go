package sim

import (
	"math"
	"strings"
)

// relation makes the function that compares two operands of the current
// statement and gives the lanes where the relation holds.
func (d *decoder) relation(name, t string, a, b operand, ftz bool) func(w *warp) uint32 {
	float := isFloat(t)
	// An unsigned comparison may be written lo, ls, hi, hs.
	if n, ok := map[string]string{"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}[name]; ok && !float {
		name = n
	}
	base, swap, not, orNaN, andNumber := name, false, false, false, false
	switch name {
	case "ne":
		base, not, andNumber = "eq", true, float
	case "gt":
		base, swap = "lt", true
	case "ge":
		base, swap = "le", true
	case "equ":
		base, orNaN = "eq", true
	case "neu":
		base, not = "eq", true
	case "ltu":
		base, swap, not = "le", true, true
	case "leu":
		base, swap, not = "lt", true, true
	case "gtu":
		base, not = "le", true
	case "geu":
		base, not = "lt", true
	case "num":
		base, not = "nan", true
	case "eq", "lt", "le", "nan":
	default:
		d.fail("relation %s is not known", name)
	}
	if !float && (strings.HasSuffix(name, "u") || base == "nan") {
		d.fail("relation %s is of floating numbers", name)
	}
	if swap {
		a, b = b, a
	}
	basic := d.basic(base, t, a, b, ftz)
	if !not && !orNaN {
		return basic
	}
	var nan func(w *warp) uint32
	if orNaN || andNumber {
		nan = d.basic("nan", t, a, b, ftz)
	}
	return func(w *warp) uint32 {
		m := basic(w)
		if not {
			m = ^m
		}
		if orNaN {
			m |= nan(w)
		}
		if andNumber {
			m &^= nan(w)
		}
		return m
	}
}

// basic is eq, lt, le or nan.
func (d *decoder) basic(base, t string, a, b operand, ftz bool) func(w *warp) uint32 {
	if typeWidth(t) == 64 {
		x, y := d.source64(a, isFloat(t)), d.source64(b, isFloat(t))
		switch t {
		case "s64":
			f := compare[int64](base)
			return func(w *warp) uint32 { return f(as64[int64](&w.doubles[x]), as64[int64](&w.doubles[y])) }
		case "f64":
			f := compare[float64](base)
			return func(w *warp) uint32 { return f(as64[float64](&w.doubles[x]), as64[float64](&w.doubles[y])) }
		}
		f := compare[uint64](base)
		return func(w *warp) uint32 { return f(&w.doubles[x], &w.doubles[y]) }
	}
	var x, y int
	if typeWidth(t) == 16 {
		x, y = d.source16(a), d.source16(b)
	} else {
		x, y = d.source32(a, isFloat(t)), d.source32(b, isFloat(t))
	}
	// The formats that Go has no comparison for are widened first.
	var widen func(uint32) uint32
	switch {
	case t == "s16":
		widen = func(v uint32) uint32 { return uint32(int32(int16(v))) }
	case t == "f16":
		widen = func(v uint32) uint32 { return math.Float32bits(fromHalf(v & 0xffff)) }
	case t == "bf16":
		widen = func(v uint32) uint32 { return v << 16 }
	case t == "f32" && ftz:
		widen = func(v uint32) uint32 { return math.Float32bits(flush(math.Float32frombits(v))) }
	case strings.HasSuffix(t, "x2"):
		d.fail("comparison of type %s is not known", t)
	}
	get := func(w *warp) (*vec32, *vec32) { return &w.words[x], &w.words[y] }
	if widen != nil {
		get = func(w *warp) (*vec32, *vec32) {
			var p, q vec32
			for i := range p {
				p[i], q[i] = widen(w.words[x][i]), widen(w.words[y][i])
			}
			return &p, &q
		}
	}
	switch {
	case isFloat(t):
		f := compare[float32](base)
		return func(w *warp) uint32 {
			p, q := get(w)
			return f(as32[float32](p), as32[float32](q))
		}
	case t[0] == 's':
		f := compare[int32](base)
		return func(w *warp) uint32 {
			p, q := get(w)
			return f(as32[int32](p), as32[int32](q))
		}
	}
	f := compare[uint32](base)
	return func(w *warp) uint32 {
		p, q := get(w)
		return f(p, q)
	}
}

// combined is the relation of a set or setp with its boolean operator, if any.
func (d *decoder) combined(t string, first int) func(w *warp, complement bool) uint32 {
	holds := d.relation(d.st.parts[1], t, d.operand(first), d.operand(first+1), d.st.has("ftz"))
	for _, op := range []string{"and", "or", "xor"} {
		if d.st.parts[2] != op {
			continue
		}
		c := d.truth(d.operand(first + 2))
		f := logic[op+".pred"]
		return func(w *warp, complement bool) uint32 {
			m := holds(w)
			if complement {
				m = ^m
			}
			return f(m, c(w))
		}
	}
	return func(w *warp, complement bool) uint32 {
		if complement {
			return ^holds(w)
		}
		return holds(w)
	}
}

func (d *decoder) setp() {
	t, _ := d.typeOf()
	first := 1
	if d.st.paired {
		first = 2
	}
	holds := d.combined(t, first)
	p := d.destination(d.operand(0), predicates)
	q := -1
	if d.st.paired {
		q = d.destination(d.operand(1), predicates)
	}
	d.in.run = func(w *warp, mask uint32) {
		m := holds(w, false)
		if q >= 0 {
			other := holds(w, true)
			w.predicates[q] = w.predicates[q]&^mask | other&mask
		}
		w.predicates[p] = w.predicates[p]&^mask | m&mask
	}
}

// set writes a number for the truth of a relation: all ones, or 1.0.
func (d *decoder) set() {
	parts := d.st.parts
	t, to := parts[len(parts)-1], parts[len(parts)-2]
	yes := ^uint32(0)
	switch to {
	case "f32":
		yes = math.Float32bits(1)
	case "f16":
		yes = 0x3c00
	case "bf16":
		yes = 0x3f80
	case "u16", "s16":
		yes = 0xffff
	case "u32", "s32":
	case "f16x2", "bf16x2":
		d.setPair(t)
		return
	default:
		d.fail("instruction %s is not known", d.st.opcode)
	}
	holds := d.combined(t, 1)
	out := d.destination(d.operand(0), words)
	d.in.run = func(w *warp, mask uint32) {
		m := holds(w, false)
		for i := range w.scratch32 {
			w.scratch32[i] = yes & -(m >> i & 1)
		}
		merge32(&w.words[out], &w.scratch32, mask)
	}
}

// setPair is set on both halves of f16x2.
func (d *decoder) setPair(t string) {
	if t != "f16x2" || len(d.st.parts) < 4 {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	relation, ok := map[string]func(a, b float32) bool{
		"eq":  func(a, b float32) bool { return a == b },
		"ne":  func(a, b float32) bool { return a == a && b == b && a != b },
		"lt":  func(a, b float32) bool { return a < b },
		"le":  func(a, b float32) bool { return a <= b },
		"gt":  func(a, b float32) bool { return a > b },
		"ge":  func(a, b float32) bool { return a >= b },
		"equ": func(a, b float32) bool { return !(a < b || a > b) },
		"neu": func(a, b float32) bool { return a != b },
		"ltu": func(a, b float32) bool { return !(a >= b) },
		"leu": func(a, b float32) bool { return !(a > b) },
		"gtu": func(a, b float32) bool { return !(a <= b) },
		"geu": func(a, b float32) bool { return !(a < b) },
		"num": func(a, b float32) bool { return a == a && b == b },
		"nan": func(a, b float32) bool { return a != a || b != b },
	}[d.st.parts[1]]
	if !ok {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	half := func(a, b uint32) uint32 {
		if relation(fromHalf(a&0xffff), fromHalf(b&0xffff)) {
			return 0x3c00
		}
		return 0
	}
	d.apply(operation{2, each32(func(a, b, _ uint32) uint32 { return half(a, b) | half(a>>16, b>>16)<<16 })}, "b32", 32)
}

// testp asks what kind of number a float is.
func (d *decoder) testp() {
	t, _ := d.typeOf()
	kind := d.st.parts[1]
	class := func(x float64, subnormal bool) bool {
		switch kind {
		case "finite":
			return !math.IsInf(x, 0) && x == x
		case "infinite":
			return math.IsInf(x, 0)
		case "number":
			return x == x
		case "notanumber":
			return x != x
		case "normal":
			return !subnormal && x != 0 && x == x && !math.IsInf(x, 0)
		case "subnormal":
			return subnormal
		}
		return false
	}
	var get func(w *warp, i int) bool
	if t == "f64" {
		a := d.source64(d.operand(1), true)
		get = func(w *warp, i int) bool {
			x := math.Float64frombits(w.doubles[a][i])
			return class(x, x != 0 && math.Abs(x) < 0x1p-1022)
		}
	} else {
		a := d.source32(d.operand(1), true)
		get = func(w *warp, i int) bool {
			x := math.Float32frombits(w.words[a][i])
			return class(float64(x), x != 0 && math.Abs(float64(x)) < 0x1p-126)
		}
	}
	p := d.destination(d.operand(0), predicates)
	d.in.run = func(w *warp, mask uint32) {
		for i := range 32 {
			if mask>>i&1 != 0 {
				w.predicates[p] &^= 1 << i
				if get(w, i) {
					w.predicates[p] |= 1 << i
				}
			}
		}
	}
}

package sim

import (
	"math"
	"math/bits"
	"strings"
)

// decoders are the instructions that are not plain arithmetic on registers.
var decoders map[string]func(d *decoder)

func init() {
	decoders = map[string]func(d *decoder){
		"mov": (*decoder).mov, "cvta": (*decoder).cvta, "isspacep": (*decoder).isspacep,
		"setp": (*decoder).setp, "set": (*decoder).set, "selp": (*decoder).selp, "slct": (*decoder).slct,
		"cvt": (*decoder).cvt, "bfi": (*decoder).bfi, "bfe": (*decoder).bfe64, "lop3": (*decoder).lop3,
		"testp": (*decoder).testp,
		"ld":    (*decoder).load, "ldu": (*decoder).load, "st": (*decoder).store,
		"atom": (*decoder).atom, "red": (*decoder).atom,
		"prefetch": (*decoder).nothing, "prefetchu": (*decoder).nothing, "discard": (*decoder).nothing, "applypriority": (*decoder).nothing,
		"membar": (*decoder).fence, "fence": (*decoder).fence, "nanosleep": (*decoder).nothing, "pmevent": (*decoder).nothing,
		"bra": (*decoder).bra, "brx": (*decoder).brx, "call": (*decoder).call,
		"ret": (*decoder).ret, "exit": (*decoder).ret, "trap": (*decoder).trap, "brkpt": (*decoder).trap,
		"bar": (*decoder).bar, "barrier": (*decoder).bar,
		"shfl": (*decoder).shfl, "vote": (*decoder).vote, "match": (*decoder).match, "redux": (*decoder).redux,
		"activemask": (*decoder).activemask,
		"mma":        (*decoder).mma, "ldmatrix": (*decoder).ldmatrix, "cp": (*decoder).cp,
		"mbarrier": (*decoder).mbarrier, "wgmma": (*decoder).wgmma, "setmaxnreg": (*decoder).setmaxnreg, "mapa": (*decoder).mapa,
	}
}

// instruction decodes the current statement.
func (d *decoder) instruction() {
	if f := decoders[d.st.parts[0]]; f != nil {
		f(d)
	} else {
		d.arithmetic()
	}
	if d.in.run == nil {
		d.fail("instruction %s is not known", d.st.opcode)
	}
}

// arithmetic decodes what the tables integers and floats hold.
func (d *decoder) arithmetic() {
	var key []string
	ftz, sat := false, false
	for _, p := range d.st.parts {
		switch p {
		case "ftz":
			ftz = true
		case "sat":
			sat = true
		case "rn", "uni":
		default:
			key = append(key, p)
		}
	}
	name := strings.Join(key, ".")
	if op, ok := logic[name]; ok {
		d.logic(op)
		return
	}
	op, ok := floats[name]
	if ok {
		d.in.class, d.in.flops = Float, flopsOf(key)
		switch key[0] {
		case "ex2", "lg2", "sin", "cos", "tanh", "rsqrt", "rcp", "sqrt":
			d.in.class = SpecialFunction
		}
	} else if op, ok = integers[name]; !ok {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	t, width := d.typeOf()
	d.count(op.sources + 1)
	if ftz && t == "f32" {
		op.lanes = flushed(op.lanes.(lanes32))
	}
	if sat {
		switch t {
		case "f32":
			op.lanes = saturated(op.lanes.(lanes32))
		case "f64":
		case "s32":
			if key[0] == "add" || key[0] == "sub" {
				op.lanes = saturatedInteger(key[0] == "sub")
			} else {
				d.fail("instruction %s is not known", d.st.opcode)
			}
		default:
			d.fail("instruction %s is not known", d.st.opcode)
		}
	}
	d.apply(op, t, width)
}

// flopsOf counts the floating operations of an instruction in one lane.
func flopsOf(key []string) int64 {
	n := int64(0)
	switch key[0] {
	case "fma", "mad":
		n = 2
	case "add", "sub", "mul", "div", "rcp", "sqrt", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh", "min", "max":
		n = 1
	}
	if strings.HasSuffix(key[len(key)-1], "x2") {
		n *= 2
	}
	return n
}

// apply makes the action of an operation on registers.
func (d *decoder) apply(op operation, t string, width int) {
	float := isFloat(t) && width >= 32 && !strings.HasSuffix(t, "x2")
	s32 := func(i int) int {
		switch {
		case i > op.sources:
			return d.dummy32
		case width == 16:
			return d.source16(d.operand(i))
		}
		return d.source32(d.operand(i), float)
	}
	s64 := func(i int) int {
		if i > op.sources {
			return d.dummy64
		}
		return d.source64(d.operand(i), float)
	}
	switch f := op.lanes.(type) {
	case lanes32:
		a, b, c := s32(1), s32(2), s32(3)
		to := d.destination(d.operand(0), words)
		d.in.run = func(w *warp, mask uint32) {
			if mask == ^uint32(0) {
				f(&w.words[to], &w.words[a], &w.words[b], &w.words[c])
				return
			}
			f(&w.scratch32, &w.words[a], &w.words[b], &w.words[c])
			merge32(&w.words[to], &w.scratch32, mask)
		}
	case lanes64:
		a, b, c := s64(1), s64(2), s64(3)
		to := d.destination(d.operand(0), doubles)
		d.in.run = func(w *warp, mask uint32) {
			if mask == ^uint32(0) {
				f(&w.doubles[to], &w.doubles[a], &w.doubles[b], &w.doubles[c])
				return
			}
			f(&w.scratch64, &w.doubles[a], &w.doubles[b], &w.doubles[c])
			merge64(&w.doubles[to], &w.scratch64, mask)
		}
	case lanesWide:
		a, b, c := s32(1), s32(2), s64(3)
		to := d.destination(d.operand(0), doubles)
		d.in.run = func(w *warp, mask uint32) {
			if mask == ^uint32(0) {
				f(&w.doubles[to], &w.words[a], &w.words[b], &w.doubles[c])
				return
			}
			f(&w.scratch64, &w.words[a], &w.words[b], &w.doubles[c])
			merge64(&w.doubles[to], &w.scratch64, mask)
		}
	case lanesShift:
		a, b := s64(1), s32(2)
		to := d.destination(d.operand(0), doubles)
		d.in.run = func(w *warp, mask uint32) {
			if mask == ^uint32(0) {
				f(&w.doubles[to], &w.doubles[a], &w.words[b])
				return
			}
			f(&w.scratch64, &w.doubles[a], &w.words[b])
			merge64(&w.doubles[to], &w.scratch64, mask)
		}
	case lanesSlim:
		a, b := s64(1), s64(2)
		to := d.destination(d.operand(0), words)
		d.in.run = func(w *warp, mask uint32) {
			f(&w.scratch32, &w.doubles[a], &w.doubles[b])
			merge32(&w.words[to], &w.scratch32, mask)
		}
	}
}

// flushed adds .ftz: subnormal inputs and results are zero.
func flushed(f lanes32) lanes32 {
	all := func(v *vec32) (out vec32) {
		for i, x := range v {
			out[i] = math.Float32bits(flush(math.Float32frombits(x)))
		}
		return out
	}
	return func(d, a, b, c *vec32) {
		a1, b1, c1 := all(a), all(b), all(c)
		f(d, &a1, &b1, &c1)
		*d = all(d)
	}
}

// saturated adds .sat: results lie in [0, 1], NaN is 0.
func saturated(f lanes32) lanes32 {
	return func(d, a, b, c *vec32) {
		f(d, a, b, c)
		for i, x := range d {
			d[i] = math.Float32bits(saturate(math.Float32frombits(x)))
		}
	}
}

func saturate(x float32) float32 {
	if !(x > 0) { // NaN too
		return 0
	}
	return min(x, 1)
}

func saturatedInteger(subtract bool) lanes32 {
	return each32(func(a, b, _ uint32) uint32 {
		x, y := int64(int32(a)), int64(int32(b))
		if subtract {
			y = -y
		}
		return uint32(max(math.MinInt32, min(math.MaxInt32, x+y)))
	})
}

// logic is what instructions on predicates do.
var logic = map[string]func(a, b uint32) uint32{
	"and.pred": func(a, b uint32) uint32 { return a & b },
	"or.pred":  func(a, b uint32) uint32 { return a | b },
	"xor.pred": func(a, b uint32) uint32 { return a ^ b },
	"not.pred": func(a, _ uint32) uint32 { return ^a },
	"mov.pred": func(a, _ uint32) uint32 { return a },
}

func (d *decoder) logic(f func(a, b uint32) uint32) {
	a := d.truth(d.operand(1))
	b := a
	if len(d.st.operands) > 2 {
		b = d.truth(d.operand(2))
	}
	to := d.destination(d.operand(0), predicates)
	d.in.run = func(w *warp, mask uint32) {
		w.predicates[to] = w.predicates[to]&^mask | f(a(w), b(w))&mask
	}
}

// truth is a predicate operand, possibly negated or constant, as the lanes where it is true.
func (d *decoder) truth(o operand) func(w *warp) uint32 {
	if o.kind == isInteger {
		v := uint32(0)
		if o.value != 0 {
			v = ^v
		}
		return func(*warp) uint32 { return v }
	}
	p := d.predicate(o)
	if o.negate {
		return func(w *warp) uint32 { return ^w.predicates[p] }
	}
	return func(w *warp) uint32 { return w.predicates[p] }
}

func (d *decoder) nothing() { d.in.run = func(*warp, uint32) {} }

// fence orders accesses; between blocks where its scope is the device.
func (d *decoder) fence() {
	d.in.class = MemoryAccess
	switch strings.Join(d.st.parts[1:], ".") {
	case "proxy.async", "proxy.async.shared::cta":
		d.proxyFence(true)
		return
	case "mbarrier_init.release.cluster":
		d.proxyFence(false)
		return
	}
	if d.st.has("proxy") || d.st.has("mbarrier_init") {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	d.nothing()
	if d.st.has("gl") || d.st.has("sys") || d.st.has("gpu") {
		d.in.run = func(w *warp, mask uint32) {
			if c, found := w.block.settle(true); found {
				w.fail(bits.TrailingZeros32(mask), "race: before this fence the block accessed global address %#x, which another block of the launch accesses too", c.address)
			}
			w.block.fenced = true
		}
	}
}

func float32Bits(bits64 uint64) uint32 {
	return math.Float32bits(float32(math.Float64frombits(bits64)))
}

func float64Bits(bits32 uint32) uint64 {
	return math.Float64bits(float64(math.Float32frombits(bits32)))
}

func (d *decoder) integerAsFloat(v int64, width int) uint64 {
	if width == 64 {
		return math.Float64bits(float64(v))
	}
	return uint64(math.Float32bits(float32(v)))
}

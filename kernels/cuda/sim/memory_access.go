package sim

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// addresses decodes an address operand: it gives what fills w.addresses.
func (d *decoder) addresses(o operand, s space) func(w *warp, mask uint32) {
	if o.kind != isMemory || len(o.list) != 1 {
		d.fail("an operand that is no address")
	}
	base := o.list[0]
	add := uint64(o.offset)
	uniform := func(at func(w *warp) uint64) func(w *warp, mask uint32) {
		return func(w *warp, mask uint32) {
			a := at(w)
			for i := range w.addresses {
				w.addresses[i] = a
			}
		}
	}
	switch {
	case base.kind == isSymbol:
		at := d.symbol(base)
		if v := d.st.scope.variable(base.symbol); s == spaceGeneric && v.space == "shared" {
			return uniform(func(w *warp) uint64 { return at(w) + sharedBase })
		}
		return uniform(at)
	case base.kind == isInteger:
		return uniform(func(*warp) uint64 { return base.value + add })
	case base.kind == isRegister && base.reg.file == words:
		if s != spaceShared {
			d.fail("an address of 32 bits outside shared memory")
		}
		a := d.read(words, base.reg.slot)
		return func(w *warp, mask uint32) {
			for i, v := range w.words[a] {
				w.addresses[i] = uint64(v + uint32(add))
			}
		}
	}
	a := d.source64(base, false)
	return func(w *warp, mask uint32) {
		for i, v := range w.doubles[a] {
			w.addresses[i] = v + add
		}
	}
}

// access is what ld, st and atom have in common.
type access struct {
	space  space
	kind   string // type
	bits   int
	vector int
	how    manner
}

func (d *decoder) access() access {
	d.in.class = MemoryAccess
	a := access{vector: 1}
	for _, p := range d.st.parts[1:] {
		if s, ok := spaceOf(p); ok {
			a.space = s
		}
		switch p {
		case "volatile", "relaxed", "acquire", "release":
			a.how = relaxed
		case "v2":
			a.vector = 2
		case "v4":
			a.vector = 4
		}
	}
	a.kind, a.bits = d.typeOf()
	if size := a.bits / 8 * a.vector; size > 16 {
		d.fail("an access of %d bytes", size)
	}
	if a.space == spaceShared || a.space == spaceGeneric {
		d.code.granule = min(d.code.granule, a.bits/8)
	}
	return a
}

// elements are the registers of a load or store.
func (d *decoder) elements(o operand, vector int) []operand {
	list := []operand{o}
	if o.kind == isVector {
		list = o.list
	}
	if len(list) != vector {
		d.fail("%d registers for a vector of %d", len(list), vector)
	}
	return list
}

func (d *decoder) load() {
	d.count(2)
	a := d.access()
	if d.loadArgument(a) {
		return
	}
	fill := d.addresses(d.operand(1), a.space)
	size := a.bits / 8
	var scatter []action
	for i, o := range d.elements(d.operand(0), a.vector) {
		scatter = append(scatter, d.receive(o, a, i*size, size*a.vector))
	}
	space, total, how := a.space, size*a.vector, a.how
	d.in.run = func(w *warp, mask uint32) {
		fill(w, mask)
		w.load(space, mask, total, how)
		if w.fault != nil {
			return
		}
		for _, f := range scatter {
			f(w, mask)
		}
	}
}

// loadArgument decodes the load of a kernel's parameter by name, the same for all lanes.
func (d *decoder) loadArgument(a access) bool {
	o := d.operand(1)
	if a.space != spaceParam || !d.code.entry || len(o.list) != 1 || o.list[0].kind != isSymbol {
		return false
	}
	v := d.st.scope.variable(o.list[0].symbol)
	if v == nil || !d.formal(v) {
		return false
	}
	size := a.bits / 8
	at, total := int(v.offset)+int(o.offset), size*a.vector
	if o.offset < 0 || int(o.offset)+total > v.bytes || at%total != 0 {
		d.fail("a load of %d bytes at byte %d of a parameter of %d", total, o.offset, v.bytes)
	}
	var scatter []action
	for i, e := range d.elements(d.operand(0), a.vector) {
		scatter = append(scatter, d.receive(e, a, i*size, total))
	}
	d.in.run = func(w *warp, mask uint32) {
		argument := w.block.launch.call.Args[at : at+total]
		for i := range 32 {
			copy(w.buffer[i*total:], argument)
		}
		for _, f := range scatter {
			f(w, mask)
		}
	}
	return true
}

// receive brings an element from w.buffer to a register, extended to its width.
func (d *decoder) receive(o operand, a access, at, stride int) action {
	size := a.bits / 8
	f := words
	if o.kind == isRegister {
		f = o.reg.file
	} else if size == 8 {
		f = doubles
	}
	out := d.destination(o, f)
	if f == words && size == 4 {
		return func(w *warp, mask uint32) {
			to := &w.words[out]
			if mask == ^uint32(0) {
				for i := range to {
					to[i] = binary.LittleEndian.Uint32(w.buffer[i*stride+at:])
				}
				return
			}
			for m := mask; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m)
				to[i] = binary.LittleEndian.Uint32(w.buffer[i*stride+at:])
			}
		}
	}
	signed := a.kind[0] == 's'
	width := 64
	if o.kind == isRegister {
		width = max(o.reg.bits, 16)
	}
	keep := ^uint64(0) >> (64 - width)
	shift := 64 - a.bits
	return func(w *warp, mask uint32) {
		for m := mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			v := get(w.buffer[i*stride+at:], size)
			if signed {
				v = uint64(int64(v)<<shift>>shift) & keep
			}
			if f == doubles {
				w.doubles[out][i] = v
			} else {
				w.words[out][i] = uint32(v)
			}
		}
	}
}

func (d *decoder) store() {
	d.count(2)
	a := d.access()
	if a.space == spaceConst {
		d.fail("a store to constant memory")
	}
	fill := d.addresses(d.operand(0), a.space)
	size := a.bits / 8
	var gather []action
	for i, o := range d.elements(d.operand(1), a.vector) {
		gather = append(gather, d.send(o, a, i*size, size*a.vector))
	}
	space, total, how := a.space, size*a.vector, a.how
	d.in.run = func(w *warp, mask uint32) {
		fill(w, mask)
		for _, f := range gather {
			f(w, mask)
		}
		w.store(space, mask, total, how)
	}
}

// send brings a register's low bits to w.buffer.
func (d *decoder) send(o operand, a access, at, stride int) action {
	size := a.bits / 8
	wide := size == 8
	if o.kind == isRegister {
		wide = o.reg.file == doubles
	}
	if wide {
		in := d.source64(o, isFloat(a.kind))
		return func(w *warp, mask uint32) {
			for m := mask; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m)
				put(w.buffer[i*stride+at:], size, w.doubles[in][i])
			}
		}
	}
	in := d.source32(o, isFloat(a.kind) && a.bits == 32)
	return func(w *warp, mask uint32) {
		for m := mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			put(w.buffer[i*stride+at:], size, uint64(w.words[in][i]))
		}
	}
}

// atom decodes atom and red. Lanes take their turns in order.
func (d *decoder) atom() {
	a := d.access()
	parts := d.st.parts
	returns := parts[0] == "atom"
	var op string
	for _, p := range parts[1:] {
		switch p {
		case "add", "min", "max", "inc", "dec", "exch", "cas", "and", "or", "xor":
			op = p
		}
	}
	f := atomic2(op, a.kind)
	if op != "cas" && f == nil {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	first := 0
	if returns {
		first = 1
	}
	fill := d.addresses(d.operand(first), a.space)
	read := func(o operand) func(w *warp, i int) uint64 {
		if a.bits == 64 {
			s := d.source64(o, isFloat(a.kind))
			return func(w *warp, i int) uint64 { return w.doubles[s][i] }
		}
		s := d.source32(o, isFloat(a.kind) && a.bits == 32)
		return func(w *warp, i int) uint64 { return uint64(w.words[s][i]) }
	}
	b := read(d.operand(first + 1))
	var c func(w *warp, i int) uint64
	if op == "cas" {
		c = read(d.operand(first + 2))
	}
	out := -1
	if returns {
		out = d.destination(d.operand(0), fileOf(a.bits))
	}
	size := a.bits / 8
	lane := func(w *warp, i int, memory []byte) {
		old := get(memory, size)
		if op == "cas" {
			if old == b(w, i) {
				put(memory, size, c(w, i))
			}
		} else {
			put(memory, size, f(old, b(w, i)))
		}
		if out >= 0 {
			if a.bits == 64 {
				w.doubles[out][i] = old
			} else {
				w.words[out][i] = uint32(old)
			}
		}
	}
	space := a.space
	d.in.run = func(w *warp, mask uint32) {
		fill(w, mask)
		w.atomic(space, mask, size, lane)
	}
}

// atomic2 is the function of the old value and the operand.
func atomic2(op, kind string) func(old, b uint64) uint64 {
	width := typeWidth(kind)
	switch {
	case op == "exch":
		return func(_, b uint64) uint64 { return b }
	case op == "add" && kind == "f32":
		return func(old, b uint64) uint64 {
			return uint64(math.Float32bits(math.Float32frombits(uint32(old)) + math.Float32frombits(uint32(b))))
		}
	case op == "add" && kind == "f64":
		return func(old, b uint64) uint64 {
			return math.Float64bits(math.Float64frombits(old) + math.Float64frombits(b))
		}
	case op == "add" && isFloat(kind): // f16, bf16 and pairs
		sum, ok := floats["add."+kind]
		if !ok {
			return nil
		}
		return func(old, b uint64) uint64 {
			d, x, y := vec32{}, vec32{uint32(old)}, vec32{uint32(b)}
			sum.lanes.(lanes32)(&d, &x, &y, &y)
			return uint64(d[0])
		}
	case isFloat(kind):
		return nil
	case op == "add":
		return func(old, b uint64) uint64 { return old + b }
	case op == "and":
		return func(old, b uint64) uint64 { return old & b }
	case op == "or":
		return func(old, b uint64) uint64 { return old | b }
	case op == "xor":
		return func(old, b uint64) uint64 { return old ^ b }
	case op == "inc":
		return func(old, b uint64) uint64 {
			if old >= b {
				return 0
			}
			return old + 1
		}
	case op == "dec":
		return func(old, b uint64) uint64 {
			if old == 0 || old > b {
				return b
			}
			return old - 1
		}
	}
	signed := func(v uint64) int64 { return int64(v) << (64 - width) >> (64 - width) }
	less := func(a, b uint64) bool { return a < b }
	if kind[0] == 's' {
		less = func(a, b uint64) bool { return signed(a) < signed(b) }
	}
	switch op {
	case "min":
		return func(old, b uint64) uint64 {
			if less(b, old) {
				return b
			}
			return old
		}
	case "max":
		return func(old, b uint64) uint64 {
			if less(old, b) {
				return b
			}
			return old
		}
	}
	return nil
}

// atomic runs f on the memory of each lane in turn.
func (w *warp) atomic(s space, mask uint32, size int, f func(w *warp, lane int, memory []byte)) {
	switch s {
	case spaceGlobal:
		w.block.worker.counters.Atomics++
		l := w.block.launch
		l.atomic.Lock()
		defer l.atomic.Unlock()
		for m := mask; m != 0; m &= m - 1 {
			lane := bits.TrailingZeros32(m)
			block, at, ok := w.within(lane, w.addresses[lane], size, "atomic operation")
			if !ok {
				return
			}
			if !block.written.all(at, size) {
				w.fail(lane, "uninitialised: atomic operation on %d bytes at global address %#x, which nobody wrote", size, w.addresses[lane])
				return
			}
			f(w, lane, block.data[at:])
		}
	case spaceShared:
		w.countShared(mask, size)
		for m := mask; m != 0; m &= m - 1 {
			lane := bits.TrailingZeros32(m)
			at, ok := w.sharedAtomic(lane, size)
			if !ok {
				return
			}
			f(w, lane, w.block.shared.data[at:])
		}
	default:
		w.byWindow(mask, func(s space, lanes uint32) {
			if s != spaceGlobal && s != spaceShared {
				w.fail(bits.TrailingZeros32(lanes), "an atomic operation on local memory")
				return
			}
			w.atomic(s, lanes, size, f)
		})
	}
}

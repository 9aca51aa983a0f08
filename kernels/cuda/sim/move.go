package sim

import "math/bits"

// mov copies a register, a constant, a special register or the address of a
// variable, and packs and unpacks pairs. A copy of what was never set is allowed
// and stays unset: compilers move such values along paths that never use them.
func (d *decoder) mov() {
	d.count(2)
	t, width := d.typeOf()
	if t == "pred" {
		d.logic(logic["mov.pred"])
		return
	}
	to, from := d.operand(0), d.operand(1)
	switch {
	case to.kind == isVector:
		d.unpack(to.list, from, width)
	case from.kind == isVector:
		d.pack(to, from.list, width)
	case from.kind == isSymbol:
		d.address(to, from)
	case from.kind == isSpecial && (from.symbol == "%clock" || from.symbol == "%clock64" || from.symbol == "%clock_hi" || from.symbol == "%globaltimer"):
		d.clock(to, width)
	case width == 64:
		a := d.source64(from, isFloat(t))
		d.copy64(d.destination(to, doubles), a)
	default:
		a := 0
		if width == 16 {
			a = d.source16(from)
		} else {
			a = d.source32(from, isFloat(t))
		}
		d.copy32(d.destination(to, words), a)
	}
}

// copies makes the destination hold a value only in the lanes where the sources
// do; the instruction needs no values but in before.
func (d *decoder) copies(before []place, f file, sources ...int) {
	d.in.reads = before
	for _, slot := range sources {
		d.in.copied = append(d.in.copied, place{f, slot})
	}
}

func (d *decoder) copy32(to, from int) {
	d.copies(nil, words, from)
	d.in.run = func(w *warp, mask uint32) {
		if mask == ^uint32(0) {
			w.words[to] = w.words[from]
			return
		}
		merge32(&w.words[to], &w.words[from], mask)
	}
}

func (d *decoder) copy64(to, from int) {
	d.copies(nil, doubles, from)
	d.in.run = func(w *warp, mask uint32) {
		if mask == ^uint32(0) {
			w.doubles[to] = w.doubles[from]
			return
		}
		merge64(&w.doubles[to], &w.doubles[from], mask)
	}
}

func (d *decoder) clock(to operand, width int) {
	if width == 64 {
		out := d.destination(to, doubles)
		d.in.run = func(w *warp, mask uint32) {
			for m := mask; m != 0; m &= m - 1 {
				w.doubles[out][bits.TrailingZeros32(m)] = uint64(w.block.worker.counters.LaneInstructions)
			}
		}
		return
	}
	out := d.destination(to, words)
	d.in.run = func(w *warp, mask uint32) {
		for m := mask; m != 0; m &= m - 1 {
			w.words[out][bits.TrailingZeros32(m)] = uint32(w.block.worker.counters.LaneInstructions)
		}
	}
}

// unpack is mov.b32 {a,b}, d or mov.b64 with two or four parts.
func (d *decoder) unpack(list []operand, from operand, width int) {
	part := width / len(list)
	outs := make([]int, len(list))
	for i, o := range list {
		outs[i] = d.destination(o, words)
	}
	low := ^uint32(0) >> (32 - part)
	if width == 64 {
		a := d.source64(from, false)
		d.in.run = func(w *warp, mask uint32) {
			for k, out := range outs {
				for i, v := range w.doubles[a] {
					w.scratch32[i] = uint32(v>>(k*part)) & low
				}
				merge32(&w.words[out], &w.scratch32, mask)
			}
		}
		return
	}
	a := d.source32(from, false)
	d.in.run = func(w *warp, mask uint32) {
		value := w.words[a] // the source may be one of the destinations
		for k, out := range outs {
			for i, v := range value {
				w.scratch32[i] = v >> (k * part) & low
			}
			merge32(&w.words[out], &w.scratch32, mask)
		}
	}
}

// pack is mov.b32 d, {a,b} or mov.b64 with two or four parts.
func (d *decoder) pack(to operand, list []operand, width int) {
	part := width / len(list)
	ins := make([]int, len(list))
	for i, o := range list {
		if part == 16 {
			ins[i] = d.source16(o)
		} else {
			ins[i] = d.source32(o, false)
		}
	}
	low := ^uint32(0) >> (32 - part)
	if width == 64 {
		out := d.destination(to, doubles)
		d.in.run = func(w *warp, mask uint32) {
			w.scratch64 = vec64{}
			for k, in := range ins {
				for i, v := range w.words[in] {
					w.scratch64[i] |= uint64(v&low) << (k * part)
				}
			}
			merge64(&w.doubles[out], &w.scratch64, mask)
		}
		return
	}
	out := d.destination(to, words)
	d.in.run = func(w *warp, mask uint32) {
		w.scratch32 = vec32{}
		for k, in := range ins {
			for i, v := range w.words[in] {
				w.scratch32[i] |= v & low << (k * part)
			}
		}
		merge32(&w.words[out], &w.scratch32, mask)
	}
}

// address is mov of a variable's address within its state space.
func (d *decoder) address(to, from operand) {
	at := d.symbol(from)
	if to.kind == isRegister && to.reg.file == words {
		out := d.destination(to, words)
		d.in.run = func(w *warp, mask uint32) {
			for m := mask; m != 0; m &= m - 1 {
				w.words[out][bits.TrailingZeros32(m)] = uint32(at(w))
			}
		}
		return
	}
	out := d.destination(to, doubles)
	d.in.run = func(w *warp, mask uint32) {
		for m := mask; m != 0; m &= m - 1 {
			w.doubles[out][bits.TrailingZeros32(m)] = at(w)
		}
	}
}

// symbol is where a variable lies: global, constant, local and parameter memory
// at generic addresses, shared memory at its offset.
func (d *decoder) symbol(o operand) func(w *warp) uint64 {
	v := d.st.scope.variable(o.symbol)
	if v == nil {
		d.fail("%s is not known", o.symbol)
	}
	add := uint64(o.offset)
	switch v.space {
	case "shared":
		if v.extern {
			return func(w *warp) uint64 { return uint64(w.block.launch.dynamic) + add }
		}
		at := v.offset + add
		return func(*warp) uint64 { return at }
	case "local", "param":
		if d.code.entry && v.space == "param" && d.formal(v) {
			at := paramBase + v.offset + add
			return func(*warp) uint64 { return at }
		}
		at := localBase + v.offset + add
		return func(w *warp) uint64 { return at + uint64(w.frame.local) }
	}
	if v.space != "global" && v.space != "const" {
		d.fail("%s has no address", o.symbol)
	}
	index := v.index
	return func(w *warp) uint64 { return w.block.launch.linked.addresses[index] + add }
}

// formal tells whether v is a parameter of the function itself.
func (d *decoder) formal(v *variable) bool {
	for _, p := range d.fn.params {
		if p == v {
			return true
		}
	}
	return false
}

// cvta goes between a state space's addresses and generic ones; only shared memory's differ.
func (d *decoder) cvta() {
	to, from := d.operand(0), d.operand(1)
	delta := uint64(0)
	for _, p := range d.st.parts {
		if s, ok := spaceOf(p); ok && s == spaceShared {
			delta = sharedBase
		}
	}
	if d.st.has("to") {
		delta = -delta
	}
	if from.kind == isSymbol {
		at := d.symbol(from)
		out := d.destination(to, doubles)
		d.in.run = func(w *warp, mask uint32) {
			for m := mask; m != 0; m &= m - 1 {
				w.doubles[out][bits.TrailingZeros32(m)] = at(w) + delta
			}
		}
		return
	}
	a := d.source64(from, false)
	out := d.destination(to, doubles)
	if delta == 0 {
		d.copy64(out, a)
		return
	}
	d.in.run = func(w *warp, mask uint32) {
		for m := mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			w.doubles[out][i] = w.doubles[a][i] + delta
		}
	}
}

func (d *decoder) isspacep() {
	want, ok := spaceOf(d.st.parts[1])
	if !ok {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	a := d.source64(d.operand(1), false)
	p := d.destination(d.operand(0), predicates)
	d.in.run = func(w *warp, mask uint32) {
		w.addresses = w.doubles[a]
		w.predicates[p] &^= mask
		w.byWindow(mask, func(s space, lanes uint32) {
			if s == want {
				w.predicates[p] |= lanes
			}
		})
	}
}

// selp chooses by a predicate. As with mov, what was never set may be chosen.
func (d *decoder) selp() {
	t, width := d.typeOf()
	p := d.truth(d.operand(3))
	guard := d.in.reads
	if width == 64 {
		a, b := d.source64(d.operand(1), isFloat(t)), d.source64(d.operand(2), isFloat(t))
		out := d.destination(d.operand(0), doubles)
		d.copies(guard, doubles, a, b)
		d.in.run = func(w *warp, mask uint32) {
			m := p(w)
			x, y, to := &w.doubles[a], &w.doubles[b], &w.doubles[out]
			w.chosen = m
			for i := range to {
				if mask>>i&1 == 0 {
					continue
				}
				if m>>i&1 != 0 {
					to[i] = x[i]
				} else {
					to[i] = y[i]
				}
			}
		}
		return
	}
	read := func(o operand) int {
		if width == 16 {
			return d.source16(o)
		}
		return d.source32(o, isFloat(t))
	}
	a, b := read(d.operand(1)), read(d.operand(2))
	out := d.destination(d.operand(0), words)
	d.copies(guard, words, a, b)
	d.in.run = func(w *warp, mask uint32) {
		m := p(w)
		x, y, to := &w.words[a], &w.words[b], &w.words[out]
		w.chosen = m
		for i := range to {
			if mask>>i&1 == 0 {
				continue
			}
			if m>>i&1 != 0 {
				to[i] = x[i]
			} else {
				to[i] = y[i]
			}
		}
	}
}

// slct chooses by the sign of the third operand.
func (d *decoder) slct() {
	if d.st.parts[len(d.st.parts)-2] == "f64" || typeWidth(d.st.parts[len(d.st.parts)-2]) != 32 {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	last := d.st.parts[len(d.st.parts)-1]
	d.apply(operation{3, each32(func(a, b, c uint32) uint32 {
		if c>>31 == 0 || last == "f32" && c == 1<<31 { // −0 ≥ 0
			return a
		}
		return b
	})}, "b32", 32)
}

// bfi has four sources.
func (d *decoder) bfi() {
	d.count(5)
	_, width := d.typeOf()
	if width == 64 {
		a, b := d.source64(d.operand(1), false), d.source64(d.operand(2), false)
		c, n := d.source32(d.operand(3), false), d.source32(d.operand(4), false)
		out := d.destination(d.operand(0), doubles)
		d.in.run = func(w *warp, mask uint32) {
			for i := range w.scratch64 {
				w.scratch64[i] = insert(w.doubles[a][i], w.doubles[b][i], w.words[c][i], w.words[n][i], 64)
			}
			merge64(&w.doubles[out], &w.scratch64, mask)
		}
		return
	}
	a, b := d.source32(d.operand(1), false), d.source32(d.operand(2), false)
	c, n := d.source32(d.operand(3), false), d.source32(d.operand(4), false)
	out := d.destination(d.operand(0), words)
	d.in.run = func(w *warp, mask uint32) {
		for i := range w.scratch32 {
			w.scratch32[i] = uint32(insert(uint64(w.words[a][i]), uint64(w.words[b][i]), w.words[c][i], w.words[n][i], 32))
		}
		merge32(&w.words[out], &w.scratch32, mask)
	}
}

// bfe of 64 bits takes position and length in 32; of 32 bits it is in the table.
func (d *decoder) bfe64() {
	t, width := d.typeOf()
	if width == 32 {
		d.arithmetic()
		return
	}
	d.count(4)
	a, c, n := d.source64(d.operand(1), false), d.source32(d.operand(2), false), d.source32(d.operand(3), false)
	out := d.destination(d.operand(0), doubles)
	d.in.run = func(w *warp, mask uint32) {
		for i := range w.scratch64 {
			w.scratch64[i] = extract(w.doubles[a][i], w.words[c][i], w.words[n][i], 64, t == "s64")
		}
		merge64(&w.doubles[out], &w.scratch64, mask)
	}
}

func (d *decoder) lop3() {
	d.count(5)
	table := d.operand(4)
	if d.st.opcode != "lop3.b32" || table.kind != isInteger {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	f := each32(func(a, b, c uint32) uint32 { return lop3(a, b, c, uint32(table.value)) })
	d.apply(operation{3, f}, "b32", 32)
}

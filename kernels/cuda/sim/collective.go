package sim

import "math/bits"

// gathered checks the membermask of an instruction of the whole warp: every lane
// it names must be executing it, every lane that executes must be named.
func (w *warp) gathered(mask uint32, members int) bool {
	for m := mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		named := w.words[members][lane]
		if named>>lane&1 == 0 {
			w.fail(lane, "membermask %#08x does not name the lane that uses it", named)
			return false
		}
		if absent := named & w.live &^ mask; absent != 0 {
			w.fail(lane, "divergent: membermask %#08x names lanes %#08x, which are elsewhere", named, absent)
			return false
		}
	}
	return true
}

// shfl follows the pseudo-code of the PTX ISA manual, shfl.sync.
func (d *decoder) shfl() {
	parts := d.st.parts
	if len(parts) != 4 || parts[1] != "sync" || parts[3] != "b32" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	mode := parts[2]
	switch mode {
	case "up", "down", "bfly", "idx":
	default:
		d.fail("instruction %s is not known", d.st.opcode)
	}
	first := 1
	if d.st.paired {
		first = 2
	}
	a, b, c, members := d.source32(d.operand(first), true), d.source32(d.operand(first+1), false), d.source32(d.operand(first+2), false), d.source32(d.operand(first+3), false)
	out := d.destination(d.operand(0), words)
	p := -1
	if d.st.paired {
		p = d.destination(d.operand(1), predicates)
	}
	d.in.run = func(w *warp, mask uint32) {
		if !w.gathered(mask, members) {
			return
		}
		value := w.words[a]
		for m := mask; m != 0; m &= m - 1 {
			lane := bits.TrailingZeros32(m)
			by, clamp, segment := int(w.words[b][lane]&31), int(w.words[c][lane]&31), int(w.words[c][lane]>>8&31)
			most := lane&segment | clamp&^segment
			var from int
			var ok bool
			switch mode {
			case "up":
				from = lane - by
				ok = from >= most
			case "down":
				from = lane + by
				ok = from <= most
			case "bfly":
				from = lane ^ by
				ok = from <= most
			case "idx":
				from = lane&segment | by&^segment
				ok = from <= most
			}
			if !ok {
				from = lane
			}
			if mask>>from&1 == 0 {
				w.fail(lane, "shuffle from lane %d, which is not active", from)
				return
			}
			w.words[out][lane] = value[from]
			if p >= 0 {
				w.predicates[p] = w.predicates[p]&^(1<<lane) | b2u(ok)<<lane
			}
		}
	}
}

func (d *decoder) vote() {
	parts := d.st.parts
	if len(parts) != 4 || parts[1] != "sync" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	value, members := d.truth(d.operand(1)), d.source32(d.operand(2), false)
	if parts[2] == "ballot" {
		out := d.destination(d.operand(0), words)
		d.in.run = func(w *warp, mask uint32) {
			if w.gathered(mask, members) {
				yes := value(w) & mask
				for m := mask; m != 0; m &= m - 1 {
					i := bits.TrailingZeros32(m)
					w.words[out][i] = yes & w.words[members][i]
				}
			}
		}
		return
	}
	var f func(yes, of uint32) bool
	switch parts[2] {
	case "all":
		f = func(yes, of uint32) bool { return yes == of }
	case "any":
		f = func(yes, of uint32) bool { return yes != 0 }
	case "uni":
		f = func(yes, of uint32) bool { return yes == of || yes == 0 }
	default:
		d.fail("instruction %s is not known", d.st.opcode)
	}
	out := d.destination(d.operand(0), predicates)
	d.in.run = func(w *warp, mask uint32) {
		if !w.gathered(mask, members) {
			return
		}
		v := value(w)
		for m := mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			of := w.words[members][i] & mask
			w.predicates[out] = w.predicates[out]&^(1<<i) | b2u(f(v&of, of))<<i
		}
	}
}

// match finds the lanes that hold the same value.
func (d *decoder) match() {
	parts := d.st.parts
	if len(parts) != 4 || parts[2] != "sync" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	first := 1
	if d.st.paired {
		first = 2
	}
	var value func(w *warp, i int) uint64
	if parts[3] == "b64" {
		a := d.source64(d.operand(first), false)
		value = func(w *warp, i int) uint64 { return w.doubles[a][i] }
	} else {
		a := d.source32(d.operand(first), false)
		value = func(w *warp, i int) uint64 { return uint64(w.words[a][i]) }
	}
	members := d.source32(d.operand(first+1), false)
	out := d.destination(d.operand(0), words)
	p := -1
	if d.st.paired {
		p = d.destination(d.operand(1), predicates)
	}
	all := parts[1] == "all"
	d.in.run = func(w *warp, mask uint32) {
		if !w.gathered(mask, members) {
			return
		}
		var result vec32
		for m := mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			of := w.words[members][i] & mask
			for k := range 32 {
				if of>>k&1 != 0 && value(w, k) == value(w, i) {
					result[i] |= 1 << k
				}
			}
			same := result[i] == of
			if all && !same {
				result[i] = 0
			}
			if p >= 0 {
				w.predicates[p] = w.predicates[p]&^(1<<i) | b2u(same)<<i
			}
		}
		merge32(&w.words[out], &result, mask)
	}
}

func (d *decoder) redux() {
	parts := d.st.parts
	if len(parts) != 4 || parts[1] != "sync" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	f := atomic2(parts[2], parts[3])
	if f == nil || parts[2] == "exch" || parts[2] == "inc" || parts[2] == "dec" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	a, members := d.source32(d.operand(1), false), d.source32(d.operand(2), false)
	out := d.destination(d.operand(0), words)
	d.in.run = func(w *warp, mask uint32) {
		if !w.gathered(mask, members) {
			return
		}
		var result vec32
		for m := mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			of := w.words[members][i] & mask
			first := bits.TrailingZeros32(of)
			v := uint64(w.words[a][first])
			for of &= of - 1; of != 0; of &= of - 1 {
				v = f(v, uint64(w.words[a][bits.TrailingZeros32(of)]))
			}
			result[i] = uint32(v)
		}
		merge32(&w.words[out], &result, mask)
	}
}

func (d *decoder) activemask() {
	out := d.destination(d.operand(0), words)
	d.in.run = func(w *warp, mask uint32) {
		for m := mask; m != 0; m &= m - 1 {
			w.words[out][bits.TrailingZeros32(m)] = mask
		}
	}
}

package sim

import "math/bits"

// Asynchronous copies (cp.async). A copy reads its source at once and lands as
// late as the memory model allows: at the wait of the thread that issued it. Up
// to then its destination may be neither read nor written.

// asyncCopy is a copy of one lane under way.
type asyncCopy struct {
	lane, at, size int
	group          int // the lane's groups committed before
	data           [16]byte
}

func (d *decoder) cp() {
	d.in.class = MemoryAccess
	parts := d.st.parts
	if len(parts) < 3 || parts[1] != "async" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	switch parts[2] {
	case "bulk":
		d.bulk()
		return
	case "commit_group":
		d.count(0)
		d.in.run = func(w *warp, mask uint32) {
			for m := mask; m != 0; m &= m - 1 {
				w.groups[bits.TrailingZeros32(m)]++
			}
		}
		return
	case "wait_group":
		d.count(1)
		if d.operand(0).kind != isInteger {
			d.fail("a number of groups that is no constant")
		}
		keep := int(d.operand(0).value)
		d.in.run = func(w *warp, mask uint32) {
			w.land(func(c *asyncCopy) bool { return mask>>c.lane&1 != 0 && c.group+keep < w.groups[c.lane] })
		}
		return
	case "wait_all":
		d.count(0)
		d.in.run = func(w *warp, mask uint32) {
			w.land(func(c *asyncCopy) bool { return mask>>c.lane&1 != 0 })
		}
		return
	case "ca", "cg":
	default:
		d.fail("instruction %s is not known", d.st.opcode)
	}
	var rest []string
	for _, p := range parts[3:] {
		if p != "L2::64B" && p != "L2::128B" && p != "L2::256B" {
			rest = append(rest, p)
		}
	}
	if len(rest) != 2 || rest[1] != "global" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	if s, ok := spaceOf(rest[0]); !ok || s != spaceShared {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	n := d.operand(2)
	size := int(n.value)
	if n.kind != isInteger || size != 16 && (parts[2] == "cg" || size != 4 && size != 8) {
		d.fail("a cp.async.%s of a size that is not allowed", parts[2])
	}
	d.code.granule = min(d.code.granule, size)
	to, from := d.addresses(d.operand(0), spaceShared), d.addresses(d.operand(1), spaceGlobal)
	sourceSize := d.constant32(uint32(size))
	if len(d.st.operands) == 4 {
		sourceSize = d.source32(d.operand(3), false)
	} else {
		d.count(3)
	}
	d.in.run = func(w *warp, mask uint32) {
		to(w, mask)
		target := w.addresses
		from(w, mask)
		w.copyAsync(mask, &target, &w.words[sourceSize], size)
	}
}

// copyAsync issues the copies of a cp.async. Of size bytes the first count come from
// global memory and the others are zero.
func (w *warp) copyAsync(mask uint32, target *vec64, count *vec32, size int) {
	whole := true
	read := uint32(0) // lanes that read anything
	for m := mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		if n := int(count[lane]); n > size {
			w.fail(lane, "a cp.async of %d bytes from a source of %d", size, n)
			return
		} else if n > 0 {
			read |= 1 << lane
			whole = whole && n == size
		}
	}
	switch {
	case read == 0:
	case whole:
		w.loadGlobal(read, size)
	default:
		w.loadPart(read, count, size)
	}
	if w.fault != nil {
		return
	}
	w.addresses = *target
	w.countShared(mask, size)
	for m := mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		at, ok := w.sharedSpan(lane, size, 1, "cp.async")
		if !ok || !w.writeShared(lane, at, size, 1, inFlight) {
			return
		}
		c := asyncCopy{lane: lane, at: at, size: size, group: w.groups[lane]}
		copy(c.data[:count[lane]], w.buffer[lane*size:])
		w.copies = append(w.copies, c)
	}
}

// loadPart counts as a request for all bytes, of which it loads the first count bytes of size, whose address is still to be aligned to size.
func (w *warp) loadPart(mask uint32, count *vec32, size int) {
	for m := mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		a, n := w.addresses[lane], int(count[lane])
		if a%uint64(size) != 0 {
			w.fail(lane, "misaligned: cp.async of %d bytes from global address %#x", size, a)
			return
		}
		block := w.find(a)
		if why := outside(block, a, n); why != "" {
			w.fail(lane, "out of bounds: cp.async of %d bytes from global address %#x: %s", n, a, why)
			return
		}
		at := int(a - block.base)
		if !block.written.all(at, n) {
			w.fail(lane, "uninitialised: cp.async of %d bytes from global address %#x, byte %d of its allocation, which nobody wrote", n, a, at)
			return
		}
		copy(w.buffer[lane*size:][:n], block.data[at:])
		w.block.note(lane, a, n, n, false)
	}
	w.block.worker.counters.GlobalLoads.scattered(&w.addresses, mask, size)
}

// land finishes the copies for which due is true.
func (w *warp) land(due func(c *asyncCopy) bool) {
	s := &w.block.shared
	kept := w.copies[:0]
	for i := range w.copies {
		c := &w.copies[i]
		if !due(c) {
			kept = append(kept, *c)
			continue
		}
		copy(s.data[c.at:][:c.size], c.data[:])
		tag := s.time<<5 | uint32(w.id)
		list := s.state[c.at>>s.shift : (c.at+c.size-1)>>s.shift+1]
		for k := range list {
			list[k].writer, list[k].lane = tag, w.synchronised<<5|uint32(c.lane)
		}
	}
	w.copies = kept
}

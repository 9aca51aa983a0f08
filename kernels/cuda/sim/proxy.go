package sim

import "math/bits"

// Loads and stores go to shared memory by another way than bulk copies and products of warp groups do, the
// generic and the asynchronous proxy (PTX ISA, "Proxies"). What a warp stored is known to the
// second only after a proxy fence of that warp.

// proxyFence is fence.proxy.async, and fence.mbarrier_init, which is that of mbarriers alone.
func (d *decoder) proxyFence(all bool) {
	d.count(0)
	d.in.run = func(w *warp, mask uint32) {
		s := &w.block.shared
		for _, m := range s.barriers {
			m.published = m.published || m.maker == w.id
		}
		if !all {
			w.told = s.time
			s.time++
		}
		if all {
			s.fenced()[w.id] = s.time
			s.time++
		}
	}
}

// fenced is the time up to which each warp's stores are known to the asynchronous proxy.
func (s *clock) fenced() []uint32 {
	if len(s.proxied) < s.warps {
		s.proxied = make([]uint32, s.warps)
	}
	return s.proxied
}

// asyncMayAccess checks bytes of a block that the asynchronous proxy reads or overwrites for a warp against who wrote them. mode is
// the swizzle with which they are read, −1 if they are overwritten.
func (w *warp) asyncMayAccess(b *block, lane int, g *granule, at, mode int, what string) bool {
	s, tag := &b.shared, g.writer
	by, time := int(tag&31), tag&timeMask>>5
	switch {
	case tag == noMemory:
		w.outsideShared(lane, what, at)
	case tag == holdsBarrier:
		w.fail(lane, "%s at shared address %#x, where an mbarrier is", what, at)
	case tag == neverWritten && mode >= 0:
		w.fail(lane, "uninitialised: %s at shared address %#x, which nobody wrote", what, at)
	case tag == neverWritten:
		return true
	case tag&inFlight != 0:
		w.fail(lane, "missing wait: %s at shared address %#x, to which an asynchronous copy is under way", what, at)
	case tag&byBulk != 0:
		column, written := int(g.lane&0xffff), int(g.lane>>16)
		switch {
		case !s.ordered(w.id, column, time):
			w.fail(lane, "missing wait: %s at shared address %#x, which a bulk copy wrote; this warp has not waited for its mbarrier", what, at)
		case mode >= 0 && mode != written:
			w.fail(lane, "swizzle mismatch: %s at shared address %#x with %s, which a bulk copy wrote with %s", what, at, swizzleNames[mode], swizzleNames[written])
		default:
			return true
		}
	case !s.ordered(w.id, by, time):
		w.fail(lane, "race: %s at shared address %#x, which %s wrote without a barrier between", what, at, b.cluster.name(by))
	case s.fenced()[by] < time:
		w.fail(lane, "missing proxy fence: %s at shared address %#x, which %s wrote without fence.proxy.async after it", what, at, b.cluster.name(by))
	default:
		return true
	}
	return false
}

var swizzleNames = []string{"no swizzle", "a swizzle of 32 bytes", "a swizzle of 64 bytes", "a swizzle of 128 bytes"}

// swizzled is where a byte of a tile goes: PTX ISA, "Swizzling Modes"; bits 4 and on are changed by those from 7 on.
func swizzled(at, mode int) int { return at ^ (at>>7&(1<<mode-1))<<4 }

// asyncRead notes that a product reads 16 bytes until the warp waits for it.
func (w *warp) asyncRead(at, mode int, what string) bool {
	s, me := &w.block.shared, uint32(1)<<w.id
	if at < 0 || at+16 > len(s.data) {
		w.outsideShared(0, what, at)
		return false
	}
	for i := at >> s.shift; i<<s.shift < at+16; i++ {
		g := &s.state[i]
		if !w.asyncMayAccess(w.block, 0, g, i<<s.shift, mode, what) {
			return false
		}
		g.async, g.product = g.async|me, true
	}
	w.reading = append(w.reading, reading{w.openGroup, at})
	return true
}

// reading is 16 bytes of shared memory that a product of a group reads.
type reading struct {
	group uint32
	at    int
}

// endReads says that groups up to this one have read their operands.
func (w *warp) endReads(group uint32) {
	s, me := &w.block.shared, uint32(1)<<w.id
	kept := w.reading[:0]
	for _, r := range w.reading {
		if r.group > group {
			kept = append(kept, r)
			continue
		}
		for i := r.at >> s.shift; i<<s.shift < r.at+16; i++ {
			s.state[i].async &^= me
		}
		s.endedAt[r.at>>4*len(w.block.warps)+w.index] = s.time
	}
	w.reading = kept
	for _, r := range kept { // what two groups read
		for i := r.at >> s.shift; i<<s.shift < r.at+16; i++ {
			s.state[i].async |= me
		}
	}
}

// setmaxnreg moves registers between the warps of a block (PTX ISA, "setmaxnreg"). At first each thread has as
// many as the bounds of the launch leave it.
func (d *decoder) setmaxnreg() {
	d.count(1)
	parts, n := d.st.parts, d.operand(0)
	if len(parts) != 5 || parts[1] != "inc" && parts[1] != "dec" || parts[2] != "sync" || parts[3] != "aligned" || parts[4] != "u32" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	if n.kind != isInteger || n.value < 24 || n.value > 256 || n.value%8 != 0 {
		d.fail("%d registers; a multiple of 8 from 24 to 256 can be asked for", n.value)
	}
	if d.fn.maxBlock == 0 {
		d.fail("setmaxnreg in a kernel without .maxntid")
	}
	want, more := int(n.value), parts[1] == "inc"
	d.in.run = func(w *warp, mask uint32) {
		if !w.inStep(mask, uint64(want), 0) {
			return
		}
		b, lane := w.block, bits.TrailingZeros32(mask)
		switch {
		case more && want < w.registers, !more && want > w.registers:
			w.fail(lane, "setmaxnreg.%s to %d registers, the warp has %d", parts[1], want, w.registers)
		case !more:
			b.freeRegisters += w.registers - want
			w.registers = want
			for _, other := range b.warps {
				other.takeRegisters()
			}
		default:
			w.barrier, w.state = barrierWait{id: -1, registers: want}, waiting
			w.takeRegisters()
		}
	}
}

// takeRegisters lets a warp go on that waits for registers if there are enough.
func (w *warp) takeRegisters() {
	b, more := w.block, w.barrier.registers-w.registers
	if w.state != waiting || w.barrier.registers == 0 || more > b.freeRegisters {
		return
	}
	b.freeRegisters -= more
	w.registers += more
	w.state, w.barrier = running, barrierWait{}
	b.cluster.released = true
}

// startRegisters are those of a thread when a block starts.
func (l *launch) startRegisters(threads int) int {
	const file = 65536
	return min(255, file/max(1, l.entry.minBlocks)/max(32, l.entry.maxBlock, threads)) &^ 7
}

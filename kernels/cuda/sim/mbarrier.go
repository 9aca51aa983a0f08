package sim

import (
	"fmt"
	"math/bits"
)

// mbarrier is an object in shared memory by which warps wait for each other and for bulk
// copies (PTX ISA, "mbarrier"). A phase of it is over when so many threads have arrived and as many bytes
// have come as they said to expect.
//
// A bulk copy lands as late as can be: when a warp that waits finds the phase complete but for it.
type mbarrier struct {
	home      *block
	at        int
	column    int // of known: when its copies landed
	maker     int // warp
	made      uint32
	published bool // bulk copies may use it
	arrivals  int  // of a phase
	pending   int  // of them in this one
	bytes     int  // expected in this phase
	phase     uint32
	gathered  []uint32 // what those who arrived in this phase had done, and knew
	released  []uint32 // the same of the phase before
	copies    []bulkCopy
}

// phaseWait is what a warp that waits for a phase resumes with.
type phaseWait struct {
	of    *mbarrier
	phase uint32 // that must be over
	mask  uint32
	out   int // predicate
}

const mostBytes = 1<<20 - 1 // of a phase

func (d *decoder) mbarrier() {
	d.in.class = MemoryAccess
	parts := d.st.parts
	if len(parts) < 4 || parts[len(parts)-1] != "b64" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	op, shared, remote, expects, byParity := parts[1], false, false, false, false
	for _, p := range parts[2 : len(parts)-1] {
		switch {
		case p == "shared" || p == "shared::cta":
			shared = true
		case p == "shared::cluster" && op == "arrive":
			shared, remote = true, true
		case p == "expect_tx" && op == "arrive":
			expects = true
		case p == "parity" && (op == "test_wait" || op == "try_wait"):
			byParity = true
		case p == "release" && op == "arrive", p == "acquire" && (op == "test_wait" || op == "try_wait"), p == "cta", p == "cluster":
		default:
			d.fail("instruction %s is not known", d.st.opcode)
		}
	}
	if !shared {
		d.fail("instruction %s is not known: only addresses in shared memory are", d.st.opcode)
	}
	d.code.granule = min(d.code.granule, 8)
	switch op {
	case "init":
		d.count(2)
		fill, count := d.addresses(d.operand(0), spaceShared), d.source32(d.operand(1), false)
		d.eachBarrier(fill, func(w *warp, lane int) bool { return w.makeBarrier(lane, int(w.words[count][lane])) })
	case "inval":
		d.count(1)
		fill := d.addresses(d.operand(0), spaceShared)
		d.eachBarrier(fill, (*warp).endBarrier)
	case "expect_tx":
		d.count(2)
		fill, n := d.addresses(d.operand(0), spaceShared), d.source32(d.operand(1), false)
		d.eachBarrier(fill, func(w *warp, lane int) bool {
			m := w.barrierAt(lane)
			return m != nil && w.expect(lane, m, int(w.words[n][lane]))
		})
	case "arrive":
		d.arriveBarrier(expects, remote)
	case "test_wait", "try_wait":
		d.waitBarrier(op == "try_wait", byParity)
	default:
		d.fail("instruction %s is not known", d.st.opcode)
	}
}

func (d *decoder) eachBarrier(fill func(w *warp, mask uint32), f func(w *warp, lane int) bool) {
	d.in.run = func(w *warp, mask uint32) {
		fill(w, mask)
		w.countBarrier()
		for m := mask; m != 0; m &= m - 1 {
			if !f(w, bits.TrailingZeros32(m)) {
				return
			}
		}
	}
}

func (w *warp) countBarrier() {
	w.block.worker.counters.SharedRequests++
	w.block.worker.counters.SharedWavefronts++
}

func (d *decoder) arriveBarrier(expects, remote bool) {
	if n := len(d.st.operands); n != 2 && n != 3 || expects && n != 3 {
		d.fail("%d operands", n)
	}
	fill := d.addresses(d.operand(1), spaceShared)
	number := d.constant32(1)
	if len(d.st.operands) == 3 {
		number = d.source32(d.operand(2), false)
	}
	state := -1
	if d.operand(0).kind != isSink {
		if remote {
			d.fail("a state of an mbarrier that may be another block's")
		}
		state = d.destination(d.operand(0), doubles)
	}
	d.in.run = func(w *warp, mask uint32) {
		fill(w, mask)
		w.countBarrier()
		a := w.block.shared.arrive(w)
		for m := mask; m != 0; m &= m - 1 {
			lane := bits.TrailingZeros32(m)
			find := w.barrierAt
			if remote {
				find = w.clusterBarrierAt
			}
			b, n := find(lane), int(w.words[number][lane])
			if b == nil || expects && !w.expect(lane, b, n) {
				return
			}
			if expects {
				n = 1
			}
			if state >= 0 {
				w.doubles[state][lane] = uint64(b.phase)
			}
			if !w.arriveAt(lane, b, a, n) {
				return
			}
			if b.home != w.block {
				b.home.reached[w.id] = reach{a.time, w.at, lane}
			}
		}
	}
}

// makeBarrier is mbarrier.init.
func (w *warp) makeBarrier(lane, arrivals int) bool {
	b := w.block
	s := &b.shared
	at, ok := w.sharedSpan(lane, 8, 1, "mbarrier")
	switch {
	case !ok:
		return false
	case arrivals < 1 || arrivals > mostBytes:
		w.fail(lane, "an mbarrier of %d arrivals", arrivals)
		return false
	case !w.writeShared(lane, at, 8, 1, 0):
		return false
	}
	s.mark(at, 8, holdsBarrier)
	m := &mbarrier{home: b, at: at, column: s.newColumn(), maker: w.id, made: s.time, arrivals: arrivals, pending: arrivals}
	s.time++
	if s.barriers == nil {
		s.barriers = map[int]*mbarrier{}
	}
	s.barriers[at] = m
	return true
}

// endBarrier is mbarrier.inval.
func (w *warp) endBarrier(lane int) bool {
	m := w.barrierAt(lane)
	if m == nil {
		return false
	}
	if len(m.copies) > 0 {
		w.fail(lane, "missing wait: the mbarrier at shared address %#x ends while bulk copies to %#x are under way", m.at, m.copies[0].at)
		return false
	}
	s := &w.block.shared
	delete(s.barriers, m.at)
	s.mark(m.at, 8, neverWritten)
	return true
}

// barrierAt is the mbarrier at a lane's address.
func (w *warp) barrierAt(lane int) *mbarrier {
	at, ok := w.sharedSpan(lane, 8, 1, "mbarrier")
	if !ok {
		return nil
	}
	return w.barrierOf(w.block, lane, at)
}

// barrierOf is the mbarrier there in the memory of a block of the cluster.
func (w *warp) barrierOf(b *block, lane, at int) *mbarrier {
	m, where := b.shared.barriers[at], ""
	if b != w.block {
		where = fmt.Sprintf(" of block %d of the cluster", b.rank)
	}
	switch {
	case m == nil:
		w.fail(lane, "uninitialised: there is no mbarrier at shared address %#x%s", at, where)
	case !b.shared.ordered(w.id, m.maker, m.made) && (m.maker >= len(w.heard) || w.heard[m.maker] < m.made):
		w.fail(lane, "race: %s made the mbarrier at shared address %#x%s without a barrier between", b.cluster.name(m.maker), at, where)
		return nil
	}
	return m
}

// expect is the expect-tx operation.
func (w *warp) expect(lane int, m *mbarrier, bytes int) bool {
	if m.pending == 0 {
		m.home.complete(w, lane, m)
	}
	if m.bytes += bytes; bytes < 0 || m.bytes > mostBytes {
		w.fail(lane, "the mbarrier at shared address %#x is to expect %d bytes", m.at, m.bytes)
	}
	return w.fault == nil
}

func (w *warp) arriveAt(lane int, m *mbarrier, a arrival, n int) bool {
	b := m.home
	if m.pending == 0 {
		b.complete(w, lane, m)
	}
	if w.fault == nil && (n < 1 || n > m.pending) {
		w.fail(lane, "%d arrivals at the mbarrier at shared address %#x, whose phase has %d left", n, m.at, m.pending)
	}
	if w.fault != nil {
		return false
	}
	m.pending -= n
	m.gathered = a.joins(m.gathered)
	b.wake(w, lane, m)
	return w.fault == nil
}

// joins adds what was ordered before an arrival to what others had done.
func (a *arrival) joins(gathered []uint32) []uint32 {
	gathered = learn(gathered, a.known)
	gathered[a.warp] = max(gathered[a.warp], a.time)
	return gathered
}

// learn adds what others know to what is known.
func learn(known, others []uint32) []uint32 {
	if n := len(others) - len(known); n > 0 {
		known = append(known, make([]uint32, n)...)
	}
	for i, t := range others {
		known[i] = max(known[i], t)
	}
	return known
}

// complete ends the phase if only copies that are under way are missing, and lets them land.
func (b *block) complete(w *warp, lane int, m *mbarrier) {
	if m.pending > 0 {
		return
	}
	lacking := m.lacking()
	if lacking < 0 {
		w.fail(lane, "wrong expect_tx: the mbarrier at shared address %#x expects %d bytes, and %d more are under way", m.at, m.bytes, -lacking)
	}
	if lacking != 0 {
		return
	}
	s := &b.shared
	m.released = learn(m.gathered, nil)
	if len(m.copies) > 0 {
		for i := range m.copies {
			s.landBulk(&m.copies[i])
		}
		m.released = learn(m.released, make([]uint32, m.column+1))
		m.released[m.column] = s.time
		s.time++
	}
	m.gathered, m.copies = nil, m.copies[:0]
	m.pending, m.bytes = m.arrivals, 0
	m.phase++
}

// wake lets warps go on that wait for a phase which is over now.
func (b *block) wake(w *warp, lane int, m *mbarrier) {
	asked := false
	for _, other := range b.warps {
		asked = asked || other.state == waiting && other.barrier.phase.of == m
	}
	if !asked {
		return
	}
	b.complete(w, lane, m)
	for _, other := range b.warps {
		p := other.barrier.phase
		if other.state == waiting && p.of == m && m.phase > p.phase {
			other.predicates[p.out] |= p.mask
			other.observe(m)
			other.state, other.barrier = running, barrierWait{}
			b.cluster.released = true
		}
	}
}

// observe makes what the phase before this one ordered known to a warp.
func (w *warp) observe(m *mbarrier) {
	c := w.block.shared.clock
	c.know()
	c.known[w.id] = learn(c.known[w.id], m.released)
}

// waitBarrier decodes test_wait and try_wait. The latter suspends the warp while the phase lasts; on a GPU it
// may give up after some time, so that programs ask again.
func (d *decoder) waitBarrier(suspends, byParity bool) {
	if n := len(d.st.operands); n != 3 && (n != 4 || !suspends) {
		d.fail("%d operands", n)
	}
	fill := d.addresses(d.operand(1), spaceShared)
	var which func(w *warp, m *mbarrier, lane int) uint32 // phase
	if byParity {
		p := d.source32(d.operand(2), false)
		which = func(w *warp, m *mbarrier, lane int) uint32 {
			if m.phase&1 == w.words[p][lane]&1 {
				return m.phase
			}
			return m.phase - 1
		}
	} else {
		p := d.source64(d.operand(2), false)
		which = func(w *warp, m *mbarrier, lane int) uint32 { return uint32(w.doubles[p][lane]) }
	}
	out := d.destination(d.operand(0), predicates)
	d.in.run = func(w *warp, mask uint32) {
		fill(w, mask)
		w.countBarrier()
		var first *mbarrier
		yes, same, phase := uint32(0), true, uint32(0)
		for l := mask; l != 0; l &= l - 1 {
			lane := bits.TrailingZeros32(l)
			m := w.barrierAt(lane)
			if m == nil {
				return
			}
			p := which(w, m, lane)
			if p == m.phase {
				m.home.complete(w, lane, m)
			}
			if p != m.phase {
				yes |= 1 << lane
				if m != first {
					w.observe(m)
				}
			}
			if first == nil {
				first, phase = m, p
			}
			same = same && m == first && p == phase
		}
		w.predicates[out] = w.predicates[out]&^mask | yes
		if yes == 0 && same && suspends && w.fault == nil {
			w.barrier, w.state = barrierWait{id: -1, phase: phaseWait{first, phase, mask, out}}, waiting
		}
	}
}

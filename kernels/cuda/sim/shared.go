package sim

import "math/bits"

// sharedMemory is the shared memory of a block and, for every granule of it, who
// accessed it last and when. A granule is as wide as the narrowest access of the
// kernel, so what is known is exact to the byte.
//
// Time is counted in barriers: accesses between two barriers happen at the same
// time. An access of one warp is ordered before that of another if a barrier they
// both passed lies between; if not, and one of them writes, it is a race.
type sharedMemory struct {
	data  []byte
	shift int // log2 of the granule
	state []granule
	fresh []granule  // state when a block starts
	time  uint32     // now, from 1
	base  uint32     // everything up to this time is ordered before now, for all warps
	known [][]uint32 // known[v][w]: time up to which w's accesses are ordered before v's next; nil until a barrier was not of all warps
}

// granule is what is known of a granule. A tag is a time and a warp with flags on top.
type granule struct {
	writer  uint32 // tag of the last write
	lane    uint32 // its lane, and above the lowest 5 bits how often its warp had synchronised itself
	readAt  uint32 // time of the last read
	readers uint32 // warps that read since the last write
}

const (
	neverWritten uint32 = 0
	noMemory            = ^uint32(0)      // between arrays
	inFlight            = uint32(1) << 31 // a cp.async is under way to it
	byAtomic            = uint32(1) << 30 // written by an atomic or volatile access
	timeMask            = byAtomic - 1
)

func (s *sharedMemory) bind(l *launch) {
	s.data = resize(s.data, l.shared)
	s.shift = bits.TrailingZeros(uint(l.entry.granule))
	s.fresh = resize(s.fresh, alignUp(l.shared, l.entry.granule)>>s.shift)
	s.state = resize(s.state, len(s.fresh))
	for i := range s.fresh {
		s.fresh[i] = granule{writer: noMemory}
	}
	free := func(at, n int) {
		for i := at >> s.shift; i<<s.shift < at+n; i++ {
			s.fresh[i].writer = neverWritten
		}
	}
	for _, v := range l.entry.shared {
		free(int(v.offset), v.bytes)
	}
	free(l.dynamic, l.call.Shared)
}

func (s *sharedMemory) reset() {
	copy(s.state, s.fresh)
	s.time, s.base, s.known = 1, 0, nil
}

// ordered tells whether what warp w did at time t comes before what v does now.
func (s *sharedMemory) ordered(v, w int, t uint32) bool {
	return v == w || t <= s.base || s.known != nil && t <= s.known[v][w]
}

// passed notes that warps passed a barrier together; those that only arrived did so at the given times.
func (s *sharedMemory) passed(b *block, here []*warp, arrived []arrival) {
	defer func() { s.time++ }()
	if len(arrived) == 0 && b.onlyThese(here) {
		s.base = s.time
		return
	}
	s.know(len(b.warps))
	joined := make([]uint32, len(b.warps))
	for _, w := range here {
		for u, t := range s.known[w.index] {
			joined[u] = max(joined[u], t)
		}
	}
	for _, a := range arrived {
		for u, t := range a.known {
			joined[u] = max(joined[u], t)
		}
		joined[a.warp] = max(joined[a.warp], a.time)
	}
	for _, w := range here {
		joined[w.index] = s.time
	}
	for _, w := range here {
		copy(s.known[w.index], joined)
	}
}

func (s *sharedMemory) know(warps int) {
	if s.known == nil {
		s.known = make([][]uint32, warps)
		for i := range s.known {
			s.known[i] = make([]uint32, warps)
		}
	}
}

// arrival is a warp that arrived at a barrier and went on.
type arrival struct {
	warp  int
	time  uint32
	known []uint32
}

func (s *sharedMemory) arrive(w *warp) arrival {
	s.know(len(w.block.warps))
	a := arrival{w.index, s.time, append([]uint32(nil), s.known[w.index]...)}
	s.time++
	return a
}

// sharedSpan checks alignment and bounds of n accesses side by side, and gives
// the offset. Gaps between arrays are found by those who look at the granules.
func (w *warp) sharedSpan(lane, size, n int, what string) (int, bool) {
	s, a := &w.block.shared, w.addresses[lane]
	if a&uint64(size-1) != 0 {
		w.fail(lane, "misaligned: %s of %d bytes at shared address %#x", what, size, a)
		return 0, false
	}
	if end := uint64(len(s.data)); a >= end || a+uint64(size*n) > end {
		for ; a+uint64(size) <= end; a += uint64(size) {
			lane++
		}
		w.outsideShared(lane, what, int(a))
		return 0, false
	}
	return int(a), true
}

func (w *warp) outsideShared(lane int, what string, at int) {
	w.fail(lane, "out of bounds: %s at shared address %#x: %s", what, at, w.block.launch.describeShared())
}

// manner of an access to shared memory.
type manner uint8

const (
	relaxed  manner = 1 << iota // .volatile, .relaxed or atomic
	together                    // several lanes read what one address names
)

func (w *warp) loadShared(mask uint32, size int, how manner) {
	s := &w.block.shared
	for m := mask; m != 0; {
		first, n, step := w.nextRun(m, size)
		m = without(m, first, n)
		lanes := n
		runHow := how
		if step == 0 {
			lanes = 1
			runHow |= together
		}
		at, ok := w.sharedSpan(first, size, lanes, "load")
		if !ok || !w.readShared(first, at, size, lanes, runHow) {
			return
		}
		to := w.buffer[first*size : (first+n)*size]
		copy(to, s.data[at:at+lanes*size])
		for i := lanes; i < n; i++ {
			copy(to[i*size:], to[:size])
		}
	}
	w.countShared(mask, size)
}

func (w *warp) storeShared(mask uint32, size int, how manner) {
	s := &w.block.shared
	flag := uint32(0)
	if how&relaxed != 0 {
		flag = byAtomic
	}
	for m := mask; m != 0; {
		first, n, step := w.nextRun(m, size)
		if step == 0 { // the last lane's value stays
			n = 1
		}
		m = without(m, first, n)
		at, ok := w.sharedSpan(first, size, n, "store")
		if !ok || !w.writeShared(first, at, size, n, flag) {
			return
		}
		copy(s.data[at:at+n*size], w.buffer[first*size:])
	}
	w.countShared(mask, size)
}

// readShared checks reads of n lanes side by side, size bytes each, against what
// others did and notes them.
func (w *warp) readShared(lane, at, size, n int, how manner) bool {
	s := &w.block.shared
	calm := (s.base+1)<<5 - 1 // a tag from 1 to this is an ordered write
	time, me := s.time, uint32(1)<<w.index
	list := s.state[at>>s.shift : (at+size*n-1)>>s.shift+1]
	for i := range list {
		g := &list[i]
		if g.writer-1 >= calm && !w.mayRead(lane+i<<s.shift/size, g, (at>>s.shift+i)<<s.shift, how) {
			return false
		}
		if how&relaxed == 0 {
			g.readAt = time
			g.readers |= me
		}
	}
	return true
}

func (w *warp) mayRead(lane int, g *granule, at int, how manner) bool {
	s, tag := &w.block.shared, g.writer
	by := int(tag & 31)
	switch {
	case tag == noMemory:
		w.outsideShared(lane, "load", at)
	case tag == neverWritten:
		w.fail(lane, "uninitialised: load at shared address %#x, which nobody wrote", at)
	case tag&inFlight != 0:
		w.fail(lane, "missing wait: load at shared address %#x, to which a cp.async of warp %d is under way", at, by)
	case how&relaxed != 0 && tag&byAtomic != 0:
		return true
	case by == w.index:
		// Its own lanes are ordered by bar.warp.sync; that they run side by side is not promised.
		if g.lane>>5 != w.synchronised || g.lane&31 == uint32(lane) && how&together == 0 {
			return true
		}
		w.fail(lane, "race within a warp: load at shared address %#x, which lane %d wrote without a bar.warp.sync between", at, g.lane&31)
	case s.ordered(w.index, by, tag&timeMask>>5):
		return true
	default:
		w.fail(lane, "race: load at shared address %#x, which warp %d wrote without a barrier between", at, by)
	}
	return false
}

// writeShared does the same for writes.
func (w *warp) writeShared(lane, at, size, n int, flag uint32) bool {
	s := &w.block.shared
	calm := (s.base + 1) << 5
	tag := s.time<<5 | uint32(w.index) | flag
	base, by, shift := s.base, w.synchronised<<5|uint32(lane), bits.TrailingZeros(uint(size))-s.shift
	list := s.state[at>>s.shift : (at+size*n-1)>>s.shift+1]
	for i := range list {
		g := &list[i]
		if (g.writer >= calm || g.readAt > base) && !w.mayWrite(lane+i<<s.shift/size, *g, (at>>s.shift+i)<<s.shift, flag) {
			return false
		}
		g.writer, g.lane, g.readers = tag, by+uint32(i>>shift), 0
	}
	return true
}

func (w *warp) mayWrite(lane int, g granule, at int, flag uint32) bool {
	s := &w.block.shared
	by := int(g.writer & 31)
	if g.writer == noMemory {
		w.outsideShared(lane, "store", at)
		return false
	}
	if g.writer&inFlight != 0 {
		w.fail(lane, "missing wait: store at shared address %#x, to which a cp.async of warp %d is under way", at, by)
		return false
	}
	if g.writer != neverWritten && (flag != byAtomic || g.writer&byAtomic == 0) && !s.ordered(w.index, by, g.writer&timeMask>>5) {
		w.fail(lane, "race: store at shared address %#x, which warp %d wrote without a barrier between", at, by)
		return false
	}
	for m := g.readers; m != 0; m &= m - 1 {
		if r := bits.TrailingZeros32(m); !s.ordered(w.index, r, g.readAt) {
			w.fail(lane, "race: store at shared address %#x, which warp %d read without a barrier between", at, r)
			return false
		}
	}
	return true
}

// sharedAtomic checks an atomic operation of one lane.
func (w *warp) sharedAtomic(lane, size int) (int, bool) {
	at, ok := w.sharedSpan(lane, size, 1, "atomic operation")
	if !ok || !w.readShared(lane, at, size, 1, relaxed) || !w.writeShared(lane, at, size, 1, byAtomic) {
		return 0, false
	}
	return at, true
}

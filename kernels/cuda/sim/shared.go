package sim

import (
	"math/bits"
	"slices"
)

// sharedMemory is the shared memory of a block and, for every granule of it, who
// accessed it last and when. A granule is as wide as the narrowest access of the
// kernel, so what is known is exact to the byte.
//
// Time is counted in barriers: accesses between two barriers happen at the same
// time. An access of one warp is ordered before that of another if a barrier they
// both passed lies between; if not, and one of them writes, it is a race.
type sharedMemory struct {
	*clock
	data  []byte
	shift int // log2 of the granule
	state []granule
	fresh []granule // state when a block starts

	barriers map[int]*mbarrier // by address
	endedAt  []uint32          // by 16 bytes and warp: when a product that read them was waited for
}

// clock is the time of the warps of a cluster, and what they know of each other.
type clock struct {
	warps   int        // of all blocks
	time    uint32     // now, from 1
	base    uint32     // everything up to this time is ordered before now, for all warps
	known   [][]uint32 // known[v][w]: time up to which w's accesses are ordered before v's next; nil until a barrier was not of all warps
	width   int        // of known: a column for each warp, and for the copies of each mbarrier
	proxied []uint32   // see fenced
}

// granule is what is known of a granule. A tag is a time and a warp with flags on top.
type granule struct {
	writer  uint32 // tag of the last write
	lane    uint32 // its lane, and above the lowest 5 bits how often its warp had synchronised itself
	readAt  uint32 // time of the last read
	readers uint32 // warps that read since the last write
	async   uint32 // warps whose products under way read it
	product bool   // a product has read it since the last write; endedAt says when
}

const (
	neverWritten uint32 = 0
	noMemory            = ^uint32(0)      // between arrays
	holdsBarrier        = noMemory - 1    // an mbarrier
	inFlight            = uint32(1) << 31 // an asynchronous copy is under way to it
	byAtomic            = uint32(1) << 30 // written by an atomic or volatile access
	byBulk              = uint32(1) << 29 // written by a bulk copy: lane has its column of known, and above 16 bits its swizzle
	timeMask            = byBulk - 1
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
	clear(s.barriers)
	clear(s.endedAt)
}

func (c *clock) reset(warps int) {
	*c = clock{warps: warps, time: 1, proxied: c.proxied}
	clear(c.proxied)
}

// mark gives n bytes a tag.
func (s *sharedMemory) mark(at, n int, tag uint32) {
	for i := at >> s.shift; i<<s.shift < at+n; i++ {
		s.state[i] = granule{writer: tag}
	}
}

// ordered tells whether what warp w did at time t comes before what v does now.
func (s *clock) ordered(v, w int, t uint32) bool {
	return v == w || t <= s.base || s.known != nil && t <= s.known[v][w]
}

// passed notes that warps passed a barrier together; those that only arrived did so at the given times.
func (s *sharedMemory) passed(b *block, here []*warp, arrived []arrival) {
	defer func() { s.time++ }()
	if len(arrived) == 0 && b.cluster.onlyThese(here) {
		s.base = s.time
		return
	}
	s.know()
	joined := make([]uint32, s.width)
	for _, w := range here {
		for u, t := range s.known[w.id] {
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
		joined[w.id] = s.time
	}
	for _, w := range here {
		copy(s.known[w.id], joined)
	}
}

func (s *clock) know() {
	if s.known == nil {
		s.known, s.width = make([][]uint32, s.warps), max(s.width, s.warps)
		for i := range s.known {
			s.known[i] = make([]uint32, s.width)
		}
	}
}

// newColumn makes room for what the copies of an mbarrier do.
func (s *clock) newColumn() int {
	s.know()
	for i := range s.known {
		s.known[i] = append(s.known[i], 0)
	}
	s.width++
	return s.width - 1
}

// arrival is a warp that arrived at a barrier and went on.
type arrival struct {
	warp  int
	time  uint32
	known []uint32
}

func (s *clock) arrive(w *warp) arrival {
	s.know()
	a := arrival{w.id, s.time, append([]uint32(nil), s.known[w.id]...)}
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
	time, me := s.time, uint32(1)<<w.id
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
	case tag == holdsBarrier:
		w.fail(lane, "load at shared address %#x, where an mbarrier is", at)
	case tag == neverWritten:
		w.fail(lane, "uninitialised: load at shared address %#x, which nobody wrote", at)
	case tag&(inFlight|byBulk) == inFlight|byBulk:
		w.fail(lane, "missing wait: load at shared address %#x, to which a bulk copy is under way", at)
	case tag&inFlight != 0:
		w.fail(lane, "missing wait: load at shared address %#x, to which a cp.async of %s is under way", at, w.block.cluster.name(by))
	case tag&byBulk != 0:
		if s.ordered(w.id, int(g.lane&0xffff), tag&timeMask>>5) {
			return true
		}
		w.fail(lane, "missing wait: load at shared address %#x, which a bulk copy wrote; this warp has not waited for its mbarrier", at)
	case how&relaxed != 0 && tag&byAtomic != 0:
		return true
	case by == w.id:
		// Its own lanes are ordered by bar.warp.sync; that they run side by side is not promised.
		if g.lane>>5 != w.synchronised || g.lane&31 == uint32(lane) && how&together == 0 {
			return true
		}
		w.fail(lane, "race within a warp: load at shared address %#x, which lane %d wrote without a bar.warp.sync between", at, g.lane&31)
	case s.ordered(w.id, by, tag&timeMask>>5):
		return true
	default:
		w.fail(lane, "race: load at shared address %#x, which %s wrote without a barrier between", at, w.block.cluster.name(by))
	}
	return false
}

// writeShared does the same for writes.
func (w *warp) writeShared(lane, at, size, n int, flag uint32) bool {
	s := &w.block.shared
	calm := (s.base + 1) << 5
	tag := s.time<<5 | uint32(w.id) | flag
	base, by, shift := s.base, w.synchronised<<5|uint32(lane), bits.TrailingZeros(uint(size))-s.shift
	list := s.state[at>>s.shift : (at+size*n-1)>>s.shift+1]
	for i := range list {
		g := &list[i]
		if (g.writer >= calm || g.readAt > base || g.product) && !w.mayWrite(lane+i<<s.shift/size, *g, (at>>s.shift+i)<<s.shift, flag) {
			return false
		}
		g.writer, g.lane, g.readers, g.product = tag, by+uint32(i>>shift), 0, false
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
	switch {
	case g.writer == holdsBarrier:
		w.fail(lane, "store at shared address %#x, where an mbarrier is", at)
		return false
	case g.writer&(inFlight|byBulk) == inFlight|byBulk:
		w.fail(lane, "missing wait: store at shared address %#x, to which a bulk copy is under way", at)
		return false
	case g.writer&inFlight != 0:
		w.fail(lane, "missing wait: store at shared address %#x, to which a cp.async of %s is under way", at, w.block.cluster.name(by))
		return false
	case g.writer&byBulk != 0:
		if !s.ordered(w.id, int(g.lane&0xffff), g.writer&timeMask>>5) {
			w.fail(lane, "missing wait: store at shared address %#x, which a bulk copy wrote; this warp has not waited for its mbarrier", at)
			return false
		}
		return w.mayOverwrite(w.block, lane, &g, at, "store")
	}
	if g.writer != neverWritten && (flag != byAtomic || g.writer&byAtomic == 0) && !s.ordered(w.id, by, g.writer&timeMask>>5) {
		w.fail(lane, "race: store at shared address %#x, which %s wrote without a barrier between", at, w.block.cluster.name(by))
		return false
	}
	return w.mayOverwrite(w.block, lane, &g, at, "store")
}

// mayOverwrite checks a write to the memory of a block against who reads what it replaces.
func (w *warp) mayOverwrite(b *block, lane int, g *granule, at int, what string) bool {
	if g.async != 0 {
		w.fail(lane, "missing wait: %s at shared address %#x, which a wgmma under way of %s reads", what, at, b.cluster.name(bits.TrailingZeros32(g.async)))
		return false
	}
	s := &b.shared
	unordered := func(by int, at uint32) bool { return !s.ordered(w.id, by, at) }
	by := -1
	for m := g.readers; m != 0; m &= m - 1 {
		if r := bits.TrailingZeros32(m); unordered(r, g.readAt) {
			by = r
		}
	}
	if g.product {
		if i := slices.IndexFunc(b.warps, func(r *warp) bool { return unordered(r.id, s.ended(at, r)) }); i >= 0 {
			by = max(by, b.warps[i].id)
		}
	}
	if by >= 0 {
		w.fail(lane, "race: %s at shared address %#x, which %s read without a barrier between", what, at, b.cluster.name(by))
	}
	return by < 0
}

// ended is when a warp waited for the last of its products that read the 16 bytes around an address.
func (s *sharedMemory) ended(at int, w *warp) uint32 {
	if i := at>>4*len(w.block.warps) + w.index; i < len(s.endedAt) {
		return s.endedAt[i]
	}
	return 0
}

// sharedAtomic checks an atomic operation of one lane.
func (w *warp) sharedAtomic(lane, size int) (int, bool) {
	at, ok := w.sharedSpan(lane, size, 1, "atomic operation")
	if !ok || !w.readShared(lane, at, size, 1, relaxed) || !w.writeShared(lane, at, size, 1, byAtomic) {
		return 0, false
	}
	return at, true
}

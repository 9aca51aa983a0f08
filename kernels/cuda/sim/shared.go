package sim

import "math/bits"

// sharedMemory is the shared memory of a block and what is known of each granule
// of it. A granule is as wide as the narrowest access of the kernel.
type sharedMemory struct {
	data    []byte
	shift   int      // log2 of the granule
	written []uint32 // by granule: see below
	fresh   []uint32 // written, when a block starts
}

const (
	neverWritten uint32 = 0
	noMemory     uint32 = ^uint32(0) // between arrays
)

func (s *sharedMemory) init(l *launch) {
	s.data = make([]byte, l.shared)
	s.shift = bits.TrailingZeros(uint(l.entry.granule))
	s.fresh = make([]uint32, alignUp(l.shared, l.entry.granule)>>s.shift)
	s.written = make([]uint32, len(s.fresh))
	for i := range s.fresh {
		s.fresh[i] = noMemory
	}
	free := func(at, n int) {
		for i := at >> s.shift; i<<s.shift < at+n; i++ {
			s.fresh[i] = neverWritten
		}
	}
	for _, v := range l.entry.shared {
		free(int(v.offset), v.bytes)
	}
	free(l.dynamic, l.call.Shared)
}

func (s *sharedMemory) reset() { copy(s.written, s.fresh) }

// sharedSpan checks alignment and bounds of one lane's access.
func (w *warp) sharedSpan(lane, size int, what string) (int, bool) {
	s, a := &w.block.shared, w.addresses[lane]
	if a%uint64(size) != 0 {
		w.fail(lane, "misaligned: %s of %d bytes at shared address %#x", what, size, a)
		return 0, false
	}
	if a+uint64(size) > uint64(len(s.data)) || a > uint64(len(s.data)) || s.written[a>>s.shift] == noMemory || s.written[(a+uint64(size)-1)>>s.shift] == noMemory {
		w.fail(lane, "out of bounds: %s of %d bytes at shared address %#x: %s", what, size, a, w.block.launch.describeShared())
		return 0, false
	}
	return int(a), true
}

func (w *warp) loadShared(mask uint32, size int) {
	s := &w.block.shared
	for m := mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		at, ok := w.sharedSpan(lane, size, "load")
		if !ok {
			return
		}
		for _, tag := range s.written[at>>s.shift : (at+size-1)>>s.shift+1] {
			if tag == neverWritten {
				w.fail(lane, "uninitialised: load of %d bytes at shared address %#x, which nobody wrote", size, at)
				return
			}
		}
		copy(w.buffer[lane*size:][:size], s.data[at:])
	}
}

func (w *warp) storeShared(mask uint32, size int) {
	s := &w.block.shared
	for m := mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		at, ok := w.sharedSpan(lane, size, "store")
		if !ok {
			return
		}
		copy(s.data[at:], w.buffer[lane*size:][:size])
		for i := at >> s.shift; i <= (at+size-1)>>s.shift; i++ {
			s.written[i] = 1
		}
	}
}

func (w *warp) sharedAtomic(lane, size int) (int, bool) {
	s := &w.block.shared
	at, ok := w.sharedSpan(lane, size, "atomic operation")
	if ok && s.written[at>>s.shift] == neverWritten {
		w.fail(lane, "uninitialised: atomic operation on %d bytes at shared address %#x, which nobody wrote", size, at)
		return 0, false
	}
	return at, ok
}

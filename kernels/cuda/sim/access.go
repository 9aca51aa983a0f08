package sim

import (
	"encoding/binary"
	"math/bits"
)

// space is where an access goes.
type space uint8

const (
	spaceGeneric space = iota
	spaceGlobal
	spaceConst
	spaceShared
	spaceLocal
	spaceParam
)

func spaceOf(s string) (space, bool) {
	switch s {
	case "global":
		return spaceGlobal, true
	case "const":
		return spaceConst, true
	case "shared", "shared::cta":
		return spaceShared, true
	case "local":
		return spaceLocal, true
	case "param":
		return spaceParam, true
	}
	return spaceGeneric, false
}

// get reads a little-endian number of 1, 2, 4 or 8 bytes.
func get(b []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

func put(b []byte, size int, v uint64) {
	switch size {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, v)
	}
}

// load brings size bytes from w.addresses of each lane into w.buffer at lane·size.
// A relaxed access (.volatile, .relaxed) does not race with others of its kind.
func (w *warp) load(s space, mask uint32, size int, how manner) {
	switch s {
	case spaceGlobal, spaceConst:
		w.loadGlobal(mask, size)
	case spaceShared:
		w.loadShared(mask, size, how)
	default:
		w.byWindow(mask, func(s space, lanes uint32) {
			switch s {
			case spaceGlobal:
				w.loadGlobal(lanes, size)
			case spaceShared:
				w.loadShared(lanes, size, how)
			case spaceLocal:
				w.loadLocal(lanes, size)
			case spaceParam:
				w.loadParam(lanes, size)
			}
		})
	}
}

// store brings w.buffer to memory.
func (w *warp) store(s space, mask uint32, size int, how manner) {
	switch s {
	case spaceGlobal:
		w.storeGlobal(mask, size)
	case spaceShared:
		w.storeShared(mask, size, how)
	default:
		w.byWindow(mask, func(s space, lanes uint32) {
			switch s {
			case spaceGlobal:
				w.storeGlobal(lanes, size)
			case spaceShared:
				w.storeShared(lanes, size, how)
			case spaceLocal:
				w.storeLocal(lanes, size)
			case spaceParam:
				w.fail(bits.TrailingZeros32(lanes), "stores to a parameter of the kernel")
			}
		})
	}
}

// byWindow calls f for the lanes of each state space that generic addresses lead
// to. Shared addresses become offsets.
func (w *warp) byWindow(mask uint32, f func(s space, lanes uint32)) {
	var lanes [spaceParam + 1]uint32
	for m := mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		switch a := w.addresses[i]; {
		case a >= sharedBase && a < sharedBase+windowSize:
			w.addresses[i] -= sharedBase
			lanes[spaceShared] |= 1 << i
		case a >= localBase && a < localBase+windowSize:
			lanes[spaceLocal] |= 1 << i
		case a >= paramBase && a < paramBase+windowSize:
			lanes[spaceParam] |= 1 << i
		default:
			lanes[spaceGlobal] |= 1 << i
		}
	}
	for s, m := range lanes {
		if m != 0 {
			f(space(s), m)
		}
	}
}

// find is the allocation at an address, nil if there is none.
func (w *warp) find(a uint64) *allocation {
	k := w.block.worker
	if last := k.last; last != nil && a-last.base < uint64(last.size) {
		return last
	}
	if i := (a - memoryBase) >> pageShift; a >= memoryBase && i < uint64(len(k.launch.pages)) {
		if found := k.launch.pages[i]; found != nil {
			k.last = found
			return found
		}
	}
	return nil
}

// run finds lanes of mask from its first on whose addresses follow each other by
// step, which is size, or 0 where all want the same bytes.
func (w *warp) nextRun(mask uint32, size int) (first, n int, step uint64) {
	first = bits.TrailingZeros32(mask)
	a := &w.addresses
	n = bits.TrailingZeros32(^(mask >> first)) // lanes of the mask without a gap
	if n == 1 {
		return first, 1, uint64(size)
	}
	step = a[first+1] - a[first]
	if step != uint64(size) && step != 0 {
		return first, 1, uint64(size)
	}
	for i := 1; i < n; i++ {
		if a[first+i]-a[first+i-1] != step {
			return first, i, step
		}
	}
	return first, n, step
}

// without removes n lanes from first on.
func without(mask uint32, first, n int) uint32 {
	return mask &^ (^uint32(0) >> (32 - n) << first)
}

// within gives the bytes at a for one lane, or records why that is an error.
func (w *warp) within(lane int, a uint64, size int, what string) (*allocation, int, bool) {
	if a%uint64(size) != 0 {
		w.fail(lane, "misaligned: %s of %d bytes at global address %#x", what, size, a)
		return nil, 0, false
	}
	block := w.find(a)
	if why := outside(block, a, size); why != "" {
		w.fail(lane, "out of bounds: %s of %d bytes at global address %#x: %s", what, size, a, why)
		return nil, 0, false
	}
	return block, int(a - block.base), true
}

func (w *warp) loadGlobal(mask uint32, size int) {
	k := w.block.worker
	for m := mask; m != 0; {
		first, n, step := w.nextRun(m, size)
		m = without(m, first, n)
		a := w.addresses[first]
		span := size
		if step != 0 {
			span = n * size
		}
		block := w.find(a)
		if a%uint64(size) != 0 || outside(block, a, span) != "" || !block.written.full(int(a-block.base), span) {
			w.explainGlobal(first, n, size, "load")
			return
		}
		at := int(a - block.base)
		to := w.buffer[first*size : (first+n)*size]
		copy(to, block.data[at:at+span])
		if step == 0 {
			for i := 1; i < n; i++ {
				copy(to[i*size:], to[:size])
			}
		}
		if !block.constant {
			w.block.note(first, a, size, span, false)
		}
		if n == 32 && step != 0 {
			k.counters.GlobalLoads.side(a, span)
			return
		}
	}
	k.counters.GlobalLoads.scattered(&w.addresses, mask, size)
}

func (w *warp) storeGlobal(mask uint32, size int) {
	k := w.block.worker
	for m := mask; m != 0; {
		first, n, step := w.nextRun(m, size)
		if step == 0 { // the last lane's value stays
			n = 1
		}
		m = without(m, first, n)
		a, span := w.addresses[first], n*size
		block := w.find(a)
		if a%uint64(size) != 0 || outside(block, a, span) != "" || block.constant {
			w.explainGlobal(first, n, size, "store")
			return
		}
		at := int(a - block.base)
		copy(block.data[at:at+span], w.buffer[first*size:])
		if !block.written.full(at, span) {
			block.written.set(at, span)
		}
		w.block.note(first, a, size, span, true)
		if n == 32 {
			k.counters.GlobalStores.side(a, span)
			return
		}
	}
	k.counters.GlobalStores.scattered(&w.addresses, mask, size)
}

// explainGlobal finds which of n lanes from first on made an access wrong.
func (w *warp) explainGlobal(first, n, size int, what string) {
	for lane := first; lane < first+n; lane++ {
		a := w.addresses[lane]
		block, at, ok := w.within(lane, a, size, what)
		switch {
		case !ok:
			return
		case what == "store" && block.constant:
			w.fail(lane, "store to constant %s", block.name)
			return
		case what == "load" && !block.written.all(at, size):
			w.fail(lane, "uninitialised: load of %d bytes at global address %#x, byte %d of its allocation, which nobody wrote", size, a, at)
			return
		}
	}
}

// localSpan checks an access to a thread's own memory.
func (w *warp) localSpan(lane, size int, what string) (int, bool) {
	at := w.addresses[lane] - localBase
	if at%uint64(size) != 0 {
		w.fail(lane, "misaligned: %s of %d bytes at local address %#x", what, size, at)
		return 0, false
	}
	if at+uint64(size) > uint64(w.localSize) {
		w.fail(lane, "out of bounds: %s of %d bytes at local address %#x of %d", what, size, at, w.localSize)
		return 0, false
	}
	return lane*w.localSize + int(at), true
}

func (w *warp) loadLocal(mask uint32, size int) {
	w.block.worker.counters.LocalAccesses++
	for m := mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		at, ok := w.localSpan(lane, size, "load")
		if !ok {
			return
		}
		for i := range size {
			if !w.localSet[at+i] {
				w.fail(lane, "uninitialised: load of %d bytes at local address %#x, which nobody wrote", size, w.addresses[lane]-localBase)
				return
			}
		}
		copy(w.buffer[lane*size:][:size], w.local[at:])
	}
}

func (w *warp) storeLocal(mask uint32, size int) {
	w.block.worker.counters.LocalAccesses++
	for m := mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		at, ok := w.localSpan(lane, size, "store")
		if !ok {
			return
		}
		copy(w.local[at:], w.buffer[lane*size:][:size])
		for i := range size {
			w.localSet[at+i] = true
		}
	}
}

func (w *warp) loadParam(mask uint32, size int) {
	args := w.block.launch.call.Args
	for m := mask; m != 0; {
		lane, n, step := w.nextRun(m, size)
		if step != 0 {
			n = 1
		}
		m = without(m, lane, n)
		at := w.addresses[lane] - paramBase
		if at%uint64(size) != 0 || at+uint64(size) > uint64(len(args)) {
			w.fail(lane, "out of bounds: load of %d bytes at byte %d of %d bytes of parameters", size, at, len(args))
			return
		}
		for i := lane; i < lane+n; i++ {
			copy(w.buffer[i*size:][:size], args[at:])
		}
	}
}

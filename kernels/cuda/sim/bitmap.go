package sim

import (
	"math/bits"
	"sync/atomic"
)

// bitmap holds one bit for each byte of memory. Blocks on other threads may set
// bits of the same word meanwhile, hence the atomics; on amd64 the loads are plain.
// A nil bitmap has all of its bits set, and keeps them.
type bitmap []uint64

func newBitmap(bytes int) bitmap { return make(bitmap, (bytes+63)/64+1) }

func (b bitmap) has(i int) bool { return b == nil || atomic.LoadUint64(&b[i>>6])>>(i&63)&1 != 0 }

// all tells whether the n ≤ 64 bits from i are set.
func (b bitmap) all(i, n int) bool {
	if b == nil {
		return true
	}
	mask := ^uint64(0) >> (64 - n)
	w, s := i>>6, i&63
	if atomic.LoadUint64(&b[w])&(mask<<s) != mask<<s {
		return false
	}
	return s+n <= 64 || atomic.LoadUint64(&b[w+1])&(mask>>(64-s)) == mask>>(64-s)
}

func (b bitmap) set(i, n int) {
	if b == nil {
		return
	}
	b.each(i, n, func(w *uint64, mask uint64) { atomic.OrUint64(w, mask) })
}

func (b bitmap) clear(i, n int) {
	if b == nil {
		return
	}
	b.each(i, n, func(w *uint64, mask uint64) { atomic.AndUint64(w, ^mask) })
}

func (b bitmap) each(i, n int, f func(w *uint64, mask uint64)) {
	for n > 0 {
		s := i & 63
		k := min(64-s, n)
		f(&b[i>>6], ^uint64(0)>>(64-k)<<s)
		i, n = i+k, n-k
	}
}

// full tells whether all n bits from i are set.
func (b bitmap) full(i, n int) bool {
	for n > 0 {
		k := min(64, n)
		if !b.all(i, k) {
			return false
		}
		i, n = i+k, n-k
	}
	return true
}

func (b bitmap) count(i, n int) (set int) {
	if b == nil {
		return n
	}
	b.each(i, n, func(w *uint64, mask uint64) { set += bits.OnesCount64(atomic.LoadUint64(w) & mask) })
	return set
}

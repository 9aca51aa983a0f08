package sim

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Bulk copies of one thread to shared memory (PTX ISA, "cp.async.bulk" and "cp.async.bulk.tensor"), in
// tiled mode, to its own block or, multicast, to several of its cluster.

// bulkCopy is a copy under way.
type bulkCopy struct {
	warp     *warp
	lane, in int // lane, instruction
	at, size int
	mode     int // swizzle
	data     []byte
}

// bulk decodes cp.async.bulk.
func (d *decoder) bulk() {
	parts := d.st.parts[3:]
	rank := 0
	if len(parts) > 2 && parts[0] == "tensor" {
		rank = int(parts[1][0] - '0')
		parts = parts[2:]
		if rank < 1 || rank > 5 || len(d.st.parts[4]) != 2 || d.st.parts[4][1] != 'd' {
			d.fail("instruction %s is not known", d.st.opcode)
		}
		parts = slices.DeleteFunc(slices.Clone(parts), func(p string) bool { return p == "tile" })
	}
	hint := len(parts) > 3 && parts[len(parts)-1] == "L2::cache_hint"
	if hint {
		parts = parts[:len(parts)-1]
	}
	many := len(parts) == 4 && parts[3] == "multicast::cluster" && parts[0] == "shared::cluster"
	if many {
		parts = parts[:3]
	}
	if len(parts) != 3 || parts[0] != "shared::cluster" && parts[0] != "shared::cta" || parts[1] != "global" || parts[2] != "mbarrier::complete_tx::bytes" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	d.code.granule = min(d.code.granule, 16)
	to := d.addresses(d.operand(0), spaceShared)
	source := d.operand(1)
	operands, last := 3, 2
	if rank == 0 {
		operands, last = 4, 3
	}
	blocks := -1
	if many {
		blocks = d.source16(d.operand(operands))
		operands++
	}
	if hint {
		d.source64(d.operand(operands), false)
		operands++
	}
	d.count(operands)
	barrier := d.addresses(d.operand(last), spaceShared)
	if rank == 0 {
		from, size := d.addresses(source, spaceGlobal), d.source32(d.operand(2), false)
		d.in.run = func(w *warp, mask uint32) {
			w.eachBulk(mask, blocks, to, from, barrier, func(lane int, to, from uint64, m []*mbarrier) {
				w.copyBytes(lane, int(to), from, int(w.words[size][lane]), m)
			})
		}
		return
	}
	if source.kind != isMemory || len(source.list) != 2 || source.list[1].kind != isVector || len(source.list[1].list) != rank {
		d.fail("an operand that is no tensor map with %d coordinates", rank)
	}
	from := d.addresses(operand{kind: isMemory, list: source.list[:1], offset: source.offset}, spaceGeneric)
	var coordinates []int
	for _, o := range source.list[1].list {
		coordinates = append(coordinates, d.source32(o, false))
	}
	d.in.run = func(w *warp, mask uint32) {
		w.eachBulk(mask, blocks, to, from, barrier, func(lane int, to, from uint64, m []*mbarrier) {
			t, why := w.tensorMap(from)
			if why != "" {
				w.fail(lane, "%s", why)
				return
			}
			at := make([]int, rank)
			for i, c := range coordinates {
				at[i] = int(int32(w.words[c][lane]))
			}
			w.copyBox(lane, int(to), t, at, m)
		})
	}
}

// eachBulk calls f for each lane with the mbarriers of the blocks that are copied to: those of the register's
// mask, or the lane's own.
func (w *warp) eachBulk(mask uint32, blocks int, to, from, barrier func(w *warp, mask uint32), f func(lane int, to, from uint64, m []*mbarrier)) {
	to(w, mask)
	target := w.addresses
	from(w, mask)
	source := w.addresses
	barrier(w, mask)
	for l := mask; l != 0 && w.fault == nil; l &= l - 1 {
		lane := bits.TrailingZeros32(l)
		at, ok := w.sharedSpan(lane, 8, 1, "mbarrier")
		if !ok {
			return
		}
		var list []*mbarrier
		for _, b := range w.named(lane, blocks) {
			m := w.barrierOf(b, lane, at)
			if m != nil && !m.published {
				w.fail(lane, "missing proxy fence: a bulk copy with the mbarrier at shared address %#x, made without fence.mbarrier_init or fence.proxy.async after it", m.at)
			}
			list = append(list, m)
		}
		if w.fault == nil {
			f(lane, target[lane], source[lane], list)
		}
	}
}

// named is the blocks of a mask, or the own one.
func (w *warp) named(lane, mask int) []*block {
	if mask < 0 {
		return []*block{w.block}
	}
	c, which := w.block.cluster, w.words[mask][lane]&0xffff
	if which == 0 || which>>len(c.blocks) != 0 {
		w.fail(lane, "wrong mask: a bulk copy to blocks %#x of a cluster of %d", which, len(c.blocks))
		return nil
	}
	var list []*block
	for ; which != 0; which &= which - 1 {
		list = append(list, c.blocks[bits.TrailingZeros32(which)])
	}
	return list
}

// tensorMap reads what EncodeTensorMap has made.
func (w *warp) tensorMap(a uint64) (t tensorMap, why string) {
	if a%64 != 0 {
		return t, "misaligned: a tensor map that is not at a multiple of 64 bytes"
	}
	args := w.block.launch.call.Args
	if at := a - paramBase; a >= paramBase && a < paramBase+windowSize {
		if at+128 > uint64(len(args)) {
			return t, "out of bounds: a tensor map beyond the parameters"
		}
		return decodeTensorMap(args[at : at+128])
	}
	block := w.find(a)
	if outside(block, a, 128) != "" || !block.written.full(int(a-block.base), 128) {
		return t, "out of bounds: a tensor map where nothing was written"
	}
	return decodeTensorMap(block.data[a-block.base:][:128])
}

// copyBytes copies what lies side by side.
func (w *warp) copyBytes(lane, to int, from uint64, size int, m []*mbarrier) {
	if to%16 != 0 || from%16 != 0 || size%16 != 0 || size <= 0 {
		w.fail(lane, "misaligned: a bulk copy of %d bytes from %#x to shared address %#x; 16 must divide them", size, from, to)
		return
	}
	c := bulkCopy{warp: w, lane: lane, in: w.at, at: to, size: size, data: make([]byte, size)}
	w.block.worker.counters.GlobalLoads.Requests++
	if w.fetch(lane, from, c.data) {
		w.issue(c, m)
	}
}

// copyBox copies a box of a tensor; elements outside of the tensor are zero.
func (w *warp) copyBox(lane, to int, t tensorMap, at []int, m []*mbarrier) {
	if len(at) != t.rank || to%128 != 0 {
		w.fail(lane, "misaligned: a box of %d dimensions of a tensor of %d to shared address %#x, which 128 must divide", len(at), t.rank, to)
		return
	}
	row := t.boxes[0] * t.element
	rows := 1
	for _, n := range t.boxes[1:t.rank] {
		rows *= n
	}
	c := bulkCopy{warp: w, lane: lane, in: w.at, at: to, size: rows * row, mode: t.swizzle, data: make([]byte, rows*row)}
	w.block.worker.counters.GlobalLoads.Requests++
	left, right := max(0, -at[0]), min(t.boxes[0], t.sizes[0]-at[0]) // of a row, that are inside
	line := make([]byte, row)
	var place [5]int // in the box
	for r := range rows {
		address, inside := t.address+uint64((at[0]+left)*t.element), left < right
		for i := 1; i < t.rank; i++ {
			x := at[i] + place[i]*t.steps[i]
			inside = inside && x >= 0 && x < t.sizes[i]
			address += uint64(x) * t.strides[i-1]
		}
		clear(line)
		if inside && !w.fetch(lane, address, line[left*t.element:right*t.element]) {
			return
		}
		for k := 0; k < row; k += 16 {
			copy(c.data[swizzled(to+r*row+k, t.swizzle)-to:], line[k:k+16])
		}
		for i := 1; i < t.rank; i++ {
			if place[i]++; place[i] < t.boxes[i] {
				break
			}
			place[i] = 0
		}
	}
	w.issue(c, m)
}

// fetch reads global memory for a bulk copy.
func (w *warp) fetch(lane int, a uint64, to []byte) bool {
	block := w.find(a)
	if why := outside(block, a, len(to)); why != "" {
		w.fail(lane, "out of bounds: bulk copy of %d bytes from global address %#x: %s", len(to), a, why)
		return false
	}
	at := int(a - block.base)
	if !block.written.full(at, len(to)) {
		w.fail(lane, "uninitialised: bulk copy of %d bytes from global address %#x, byte %d of its allocation, which nobody wrote", len(to), a, at)
		return false
	}
	copy(to, block.data[at:])
	k := w.block.worker
	w.block.note(lane, a, len(to), len(to), false)
	k.counters.GlobalLoads.side(a, len(to))
	k.counters.GlobalLoads.Requests-- // one for the box
	return true
}

// issue lets a copy be under way, to each block of the mbarriers.
func (w *warp) issue(c bulkCopy, list []*mbarrier) {
	for _, m := range list {
		w.issueTo(m.home, c, m)
	}
}

// issueTo checks where a copy goes.
func (w *warp) issueTo(b *block, c bulkCopy, m *mbarrier) {
	s := &b.shared
	if c.at+c.size > len(s.data) {
		w.outsideShared(c.lane, "bulk copy", c.at)
		return
	}
	tag := inFlight | byBulk | s.time<<5
	for i := c.at >> s.shift; i<<s.shift < c.at+c.size; i++ {
		g := &s.state[i]
		if !w.asyncMayAccess(b, c.lane, g, i<<s.shift, -1, "bulk copy") || !w.mayOverwrite(b, c.lane, g, i<<s.shift, "bulk copy") {
			return
		}
		g.writer, g.lane, g.readers, g.product = tag, uint32(c.mode)<<16|uint32(m.column), 0, false
	}
	k := &w.block.worker.counters
	k.SharedRequests++
	k.SharedWavefronts += int64(c.size+127) / 128
	m.copies = append(m.copies, c)
	b.wake(w, c.lane, m)
}

func (s *sharedMemory) landBulk(c *bulkCopy) {
	copy(s.data[c.at:], c.data)
	for i := c.at >> s.shift; i<<s.shift < c.at+c.size; i++ {
		s.state[i].writer = byBulk | s.time<<5
	}
}

// strayCopies finds a copy that is still under way when the block has ended.
func (b *block) strayCopies() error {
	for _, m := range b.shared.barriers {
		for _, c := range m.copies {
			w := c.warp
			w.at = c.in
			w.enter(w.entry())
			w.fail(c.lane, "missing wait: the block has ended, and a bulk copy to shared address %#x is under way", c.at)
			return w.fault
		}
	}
	return nil
}

// tensorMap is a cuda.TensorMap as the simulator uses it.
type tensorMap struct {
	address                uint64
	rank, element, swizzle int
	sizes, boxes, steps    [5]int // boxes: elements that are copied
	strides                [4]uint64
}

// decodeTensorMap says why a map is one that the simulator does not know.
func decodeTensorMap(image []byte) (t tensorMap, why string) {
	little := binary.LittleEndian
	t.address, t.rank = little.Uint64(image), int(image[95])
	kind := int(image[96])
	if t.rank < 1 || t.rank > 5 || kind >= len(elementBytes) || image[100] > 1 {
		return t, "uninitialised: what should be a tensor map was not made by the driver"
	}
	if image[97] != 0 || image[100] != 0 {
		return t, "a tensor map with interleaving or filled with NaN is not known"
	}
	t.element, t.swizzle = elementBytes[kind], int(image[98])
	for i := range t.rank {
		t.sizes[i] = int(little.Uint64(image[8+8*i:])) + 1
		t.steps[i] = int(image[90+i])
		if i == 0 {
			t.steps[0] = 1 // the driver's manual: ignored
		} else {
			t.strides[i-1] = little.Uint64(image[40+8*i:])
		}
		t.boxes[i] = (int(little.Uint16(image[80+2*i:])) + t.steps[i] - 1) / t.steps[i]
	}
	if t.swizzle > 0 && t.boxes[0]*t.element != 16<<t.swizzle {
		return t, "a box narrower than its swizzle is not known"
	}
	return t, ""
}

package sim

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Products of four warps, whose operands lie in shared memory (PTX ISA, "Asynchronous Warpgroup Level Matrix
// Multiply-Accumulate"). Each warp makes the 16 rows of the result that it holds. Operands are read
// when the instruction is executed, and nobody may write them, nor touch the sums, until the warp has waited.

// warpgroup is the descriptors and places of the instructions of four warps, which all of them must execute.
type warpgroup []struct {
	in   int
	a, b uint64
}

// inStep checks that the four warps execute the same instructions on the same operands.
func (w *warp) inStep(mask uint32, a, b uint64) bool {
	if !w.whole(mask) {
		return false
	}
	groups := w.block.groups
	if w.index/4 >= len(groups) {
		w.fail(0, "divergent: an instruction of four warps, but warp %d of %d is in no group of four", w.index, len(w.block.warps))
		return false
	}
	g := &groups[w.index/4]
	mine := struct {
		in   int
		a, b uint64
	}{w.at, a, b}
	if n := w.steps; n == len(*g) {
		*g = append(*g, mine)
	} else if (*g)[n] != mine {
		w.fail(0, "divergent: another of the four warps executed another instruction, or with another operand")
		return false
	}
	w.steps++
	return true
}

// strayGroups finds warps that executed less than others of their four.
func (b *block) strayGroups() error {
	for i, g := range b.groups {
		for _, w := range b.warps[4*i : 4*i+4] {
			if w.steps < len(g) {
				w.at = g[w.steps].in
				w.enter(w.entry())
				w.fail(0, "divergent: warp %d did not execute what others of its four did", w.index)
				return w.fault
			}
		}
	}
	return nil
}

func (d *decoder) wgmma() {
	parts := d.st.parts
	if len(parts) < 4 || parts[2] != "sync" || parts[3] != "aligned" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	if !d.code.entry {
		d.fail("%s outside of a kernel's own code is not known", d.st.opcode)
	}
	d.in.class, d.code.grouped = Control, true
	switch parts[1] {
	case "fence":
		d.count(0)
		d.in.run = func(w *warp, mask uint32) {
			if w.inStep(mask, 0, 0) {
				w.registerFences++
			}
		}
	case "commit_group":
		d.count(0)
		d.in.run = func(w *warp, mask uint32) {
			if w.inStep(mask, 0, 0) {
				w.openGroup++
			}
		}
	case "wait_group":
		d.count(1)
		left := d.operand(0)
		if left.kind != isInteger || left.value > 7 {
			d.fail("a number of groups that is no constant from 0 to 7")
		}
		d.in.run = func(w *warp, mask uint32) {
			if w.inStep(mask, left.value, 0) && w.openGroup > uint32(left.value) {
				w.overGroup = max(w.overGroup, w.openGroup-1-uint32(left.value))
				w.endReads(w.overGroup)
			}
		}
	case "mma_async":
		d.warpgroupMultiply()
	default:
		d.fail("instruction %s is not known", d.st.opcode)
	}
}

// warpgroupMultiply decodes wgmma.mma_async.sync.aligned.m64nNk16.f32.T.T of bf16 or f16, both operands in
// shared memory: D = A·B + D, or A·B where scale-d is false. Sums are formed as those of mma.sync are here.
func (d *decoder) warpgroupMultiply() {
	parts := d.st.parts
	if len(parts) != 8 || parts[5] != "f32" || parts[6] != parts[7] {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	size, ok := strings.CutPrefix(parts[4], "m64n")
	size, deep := strings.CutSuffix(size, "k16")
	n, err := strconv.Atoi(size)
	read := map[string]func(uint32) float32{"bf16": fromBFloat16, "f16": fromHalf}[parts[6]]
	if !ok || !deep || err != nil || n < 8 || n > 256 || n%8 != 0 || read == nil {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	d.count(8)
	d.in.class = Tensor
	m := product{n: n, read: read}
	sums := d.operand(0)
	if sums.kind != isVector || len(sums.list) != n/2 {
		d.fail("sums that are not %d registers", n/2)
	}
	for _, o := range sums.list {
		m.sums = append(m.sums, d.destination(o, words))
	}
	m.a, m.b = d.source64(d.operand(1), false), d.source64(d.operand(2), false)
	more := d.truth(d.operand(3))
	for i := 4; i < 8; i++ {
		if o := d.operand(i); o.kind != isInteger || i < 6 && o.value != 1 || o.value > 1 {
			d.fail("operand %d is not known", i+1)
		}
	}
	m.sideA, m.sideB = d.operand(6).value == 1, d.operand(7).value == 1
	d.code.granule = min(d.code.granule, 16)
	d.in.run = func(w *warp, mask uint32) {
		a, b := w.doubles[m.a][0], w.doubles[m.b][0]
		for lane := range 32 {
			if w.doubles[m.a][lane] != a || w.doubles[m.b][lane] != b {
				w.fail(lane, "divergent: a descriptor that differs from lane to lane")
				return
			}
		}
		if w.inStep(mask, a, b) {
			yes := more(w)
			if yes != 0 && yes != ^uint32(0) {
				w.fail(0, "divergent: scale-d differs from lane to lane")
				return
			}
			m.run(w, a, b, yes != 0)
		}
	}
}

// product is a wgmma.mma_async.
type product struct {
	n            int
	read         func(uint32) float32
	sums         []int
	a, b         int
	sideA, sideB bool // m, or n, is contiguous and not k
}

// descriptor is a matrix descriptor: PTX ISA, "Matrix Descriptor Format".
type descriptor struct{ start, leading, stride, mode int }

func describe(bits uint64) (d descriptor, known bool) {
	field := func(at int) int { return int(bits>>at&0x3fff) << 4 }
	return descriptor{field(0), field(16), field(32), [4]int{0, 3, 2, 1}[bits>>62]}, bits>>49&7 == 0
}

// chunk is where 8 elements side by side lie that begin at (row, k), row being an index m or n, without the
// swizzle: PTX ISA, "Canonical Layouts". side says that they go along row.
func (d descriptor) chunk(row, k int, side bool) int {
	span := 16 << d.mode // bytes of a row of the swizzle
	switch {
	case side && d.mode == 0:
		return d.start + row/8*d.stride + k%8*16 + k/8*d.leading
	case side:
		return d.start + row%(span/2)*2 + row/(span/2)*d.leading + k%8*span + k/8*d.stride
	case d.mode == 0:
		return d.start + row%8*16 + row/8*d.stride + k/8*d.leading
	}
	return d.start + row%8*span + row/8*d.stride + k*2
}

// gather reads rows of an operand from first on, each of 16 elements of k, and puts them at to(row, k).
func (m *product) gather(w *warp, bits uint64, first, rows int, side bool, what string, to func(row, k int) *float32) bool {
	d, known := describe(bits)
	if !known {
		w.fail(0, "%s with a base offset, which is not known", what)
		return false
	}
	element := func(at, i int) float32 {
		return m.read(uint32(binary.LittleEndian.Uint16(w.block.shared.data[at+2*i:])))
	}
	if side {
		for row := 0; row < rows; row += 8 {
			for k := range 16 {
				at := swizzled(d.chunk(first+row, k, true), d.mode)
				if !w.asyncRead(at, d.mode, what) {
					return false
				}
				for i := range 8 {
					*to(row+i, k) = element(at, i)
				}
			}
		}
		return true
	}
	for row := range rows {
		for k := 0; k < 16; k += 8 {
			at := swizzled(d.chunk(first+row, k, false), d.mode)
			if !w.asyncRead(at, d.mode, what) {
				return false
			}
			for i := range 8 {
				*to(row, k+i) = element(at, i)
			}
		}
	}
	return true
}

func (m *product) run(w *warp, a, b uint64, more bool) {
	for _, slot := range m.sums {
		if w.touched[slot] == w.registerFences {
			w.fail(0, "missing wgmma.fence: registers of the sums were written, or there was none before the first product")
			return
		}
	}
	var left [16][16]float32
	right := &w.block.worker.right
	if !m.gather(w, a, w.index%4*16, 16, m.sideA, "wgmma, operand A", func(row, k int) *float32 { return &left[row][k] }) ||
		!m.gather(w, b, 0, m.n, m.sideB, "wgmma, operand B", func(row, k int) *float32 { return &right[row/8][k][row%8] }) {
		return
	}
	var sum [16][8]float32
	for j := range m.n / 8 {
		slots := m.sums[4*j : 4*j+4]
		if more {
			for r, slot := range slots {
				for lane, v := range w.words[slot] {
					sum[8*(r>>1)+lane>>2][lane&3*2+r&1] = math.Float32frombits(v)
				}
			}
		} else {
			sum = [16][8]float32{}
		}
		multiply(&left, &right[j], &sum, 16)
		for r, slot := range slots {
			to := &w.words[slot]
			for lane := range to {
				to[lane] = math.Float32bits(sum[8*(r>>1)+lane>>2][lane&3*2+r&1])
			}
		}
	}
	for _, slot := range m.sums {
		w.flying[slot] = w.openGroup
	}
	c := &w.block.worker.counters
	flops := int64(2 * 16 * m.n * 16)
	c.TensorFLOPs += flops
	c.WarpgroupFLOPs += flops
	c.SharedRequests++
	c.SharedWavefronts += int64(64*32+m.n*32) / 128 / 4 // of all four warps: A once, B once
}

// mayTouch checks an instruction's registers against sums of products that are under way, and notes what
// it writes. A move takes what is known of its source along: the assembler removes it.
func (w *warp) mayTouch(in *instruction, mask uint32) bool {
	if in.moves {
		from, to := in.slots[0], in.slots[1]
		w.flying[to], w.touched[to] = w.flying[from], w.touched[from]
		return true
	}
	for _, slot := range in.slots {
		if w.flying[slot] > w.overGroup {
			w.fail(bits.TrailingZeros32(mask), "missing wait: a register is used that holds sums of a wgmma under way")
			return false
		}
	}
	for _, slot := range in.slots[in.sources:] {
		w.touched[slot] = w.registerFences
	}
	return true
}

package sim

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strings"
)

// Matrix instructions of a warp: mma.sync and ldmatrix, with the fragments that the PTX ISA
// manual draws in "Warp Level Matrix Multiply-Accumulate Instructions". Lane l is
// in group l/4 and has number l%4 there.

// shape is how a kind of mma spreads its matrices over registers.
type shape struct {
	k        int // of 16 × 8 × k
	packed   bool
	read     func(uint32) float32 // of an element
	aRegs    int
	bRegs    int
	halfSums bool // accumulators are f16
}

// mma decodes mma.sync.aligned.m16n8k*.row.col.D.A.B.C: D = A·B + C. Products are
// exact in float32 and added one after the other in float32; hardware adds in
// an order of its own, so results differ in the last bits.
func (d *decoder) mma() {
	d.in.class = Tensor
	parts := d.st.parts
	if len(parts) != 10 || parts[1] != "sync" || parts[2] != "aligned" || parts[4] != "row" || parts[5] != "col" || parts[7] != parts[8] || parts[6] != parts[9] {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	var s shape
	switch parts[3] + "." + parts[7] {
	case "m16n8k16.bf16":
		s = shape{k: 16, packed: true, read: fromBFloat16, aRegs: 4, bRegs: 2}
	case "m16n8k8.bf16":
		s = shape{k: 8, packed: true, read: fromBFloat16, aRegs: 2, bRegs: 1}
	case "m16n8k16.f16":
		s = shape{k: 16, packed: true, read: fromHalf, aRegs: 4, bRegs: 2}
	case "m16n8k8.f16":
		s = shape{k: 8, packed: true, read: fromHalf, aRegs: 2, bRegs: 1}
	case "m16n8k8.tf32":
		s = shape{k: 8, read: fromTF32, aRegs: 4, bRegs: 2}
	case "m16n8k4.tf32":
		s = shape{k: 4, read: fromTF32, aRegs: 2, bRegs: 1}
	default:
		d.fail("instruction %s is not known", d.st.opcode)
	}
	sums := 4
	switch {
	case parts[6] == "f16" && parts[7] == "f16":
		s.halfSums, sums = true, 2
	case parts[6] != "f32":
		d.fail("instruction %s is not known", d.st.opcode)
	}
	d.count(4)
	list := func(i, n int) []int {
		o := d.operand(i)
		if o.kind != isVector {
			o = operand{list: []operand{o}}
		}
		if len(o.list) != n {
			d.fail("%d registers in operand %d, %s takes %d", len(o.list), i+1, d.st.opcode, n)
		}
		var slots []int
		for _, e := range o.list {
			if i == 0 {
				slots = append(slots, d.destination(e, words))
			} else {
				slots = append(slots, d.source32(e, true))
			}
		}
		return slots
	}
	a, b, c, out := list(1, s.aRegs), list(2, s.bRegs), list(3, sums), list(0, sums)
	flops := int64(2 * 16 * 8 * s.k)
	if parts[7] == "bf16" {
		d.in.run = func(w *warp, mask uint32) {
			if w.whole(mask) {
				w.multiplyBF16(a, b, c, out)
				w.block.worker.counters.TensorFLOPs += flops
			}
		}
		return
	}
	d.in.run = func(w *warp, mask uint32) {
		if !w.whole(mask) {
			return
		}
		var left [16][16]float32 // A by row
		var right [16][8]float32 // B by row
		var sum [16][8]float32
		s.spread(w, a, b, &left, &right)
		s.readSums(w, c, &sum)
		multiply(&left, &right, &sum, s.k)
		w.block.worker.counters.TensorFLOPs += flops
		s.writeSums(w, out, &sum)
	}
}

// whole checks that all lanes execute an instruction of .aligned.
func (w *warp) whole(mask uint32) bool {
	if mask != ^uint32(0) {
		w.fail(bits.TrailingZeros32(mask), "divergent: only lanes %#08x execute an instruction of the whole warp", mask)
		return false
	}
	return true
}

func fromTF32(v uint32) float32 { return math.Float32frombits(v &^ 0x1fff) } // hardware ignores the low 13 bits

// spread puts the fragments of A and B in their places.
func (s *shape) spread(w *warp, a, b []int, left *[16][16]float32, right *[16][8]float32) {
	for r, slot := range a {
		row, column := 8*(r&1), 8*(r>>1) // registers 0 to 3: upper left, lower left, upper right, lower right
		if !s.packed {
			column = 4 * (r >> 1)
		}
		for lane, v := range w.words[slot] {
			group, number := lane>>2, lane&3
			if s.packed {
				left[row+group][column+2*number] = s.read(v & 0xffff)
				left[row+group][column+2*number+1] = s.read(v >> 16)
			} else {
				left[row+group][column+number] = s.read(v)
			}
		}
	}
	for r, slot := range b {
		for lane, v := range w.words[slot] {
			group, number := lane>>2, lane&3
			if s.packed {
				right[8*r+2*number][group] = s.read(v & 0xffff)
				right[8*r+2*number+1][group] = s.read(v >> 16)
			} else {
				right[4*r+number][group] = s.read(v)
			}
		}
	}
}

func (s *shape) readSums(w *warp, c []int, sum *[16][8]float32) {
	for r, slot := range c {
		for lane, v := range w.words[slot] {
			group, number := lane>>2, lane&3
			if s.halfSums {
				sum[8*r+group][2*number], sum[8*r+group][2*number+1] = fromHalf(v&0xffff), fromHalf(v>>16)
			} else {
				sum[8*(r>>1)+group][2*number+r&1] = math.Float32frombits(v)
			}
		}
	}
}

func (s *shape) writeSums(w *warp, d []int, sum *[16][8]float32) {
	for r, slot := range d {
		to := &w.words[slot]
		for lane := range to {
			group, number := lane>>2, lane&3
			if s.halfSums {
				to[lane] = toHalf(sum[8*r+group][2*number], roundNearest) | toHalf(sum[8*r+group][2*number+1], roundNearest)<<16
			} else {
				to[lane] = math.Float32bits(sum[8*(r>>1)+group][2*number+r&1])
			}
		}
	}
}

// multiply adds the first k columns of left times right to sum.
func multiply(left *[16][16]float32, right *[16][8]float32, sum *[16][8]float32, k int) {
	for i := range sum {
		row, s := &left[i], &sum[i]
		s0, s1, s2, s3, s4, s5, s6, s7 := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
		for j := range min(k, 16) {
			x, b := row[j], &right[j]
			s0 += x * b[0]
			s1 += x * b[1]
			s2 += x * b[2]
			s3 += x * b[3]
			s4 += x * b[4]
			s5 += x * b[5]
			s6 += x * b[6]
			s7 += x * b[7]
		}
		*s = [8]float32{s0, s1, s2, s3, s4, s5, s6, s7}
	}
}

// multiplyBF16 is the same for bf16 with the fragments where they are: what the
// matrix kernels of this program spend their time in.
func (w *warp) multiplyBF16(a, b, c, out []int) {
	high := func(v uint32) float32 { return math.Float32frombits(v & 0xffff0000) }
	low := func(v uint32) float32 { return math.Float32frombits(v << 16) }
	var right [16][8]float32
	for r, slot := range b {
		for lane, v := range w.words[slot] {
			k := (8*r + 2*(lane&3)) & 15
			right[k][lane>>2], right[k+1&15][lane>>2] = low(v), high(v)
		}
	}
	var sums [4]vec32
	for i := range 16 {
		half, first := i>>3, i&7*4 // of the row's lanes
		even, odd := &w.words[c[2*half]], &w.words[c[2*half+1]]
		from := func(v *vec32, n int) float32 { return math.Float32frombits(v[(first+n)&31]) }
		s0, s1, s2, s3 := from(even, 0), from(odd, 0), from(even, 1), from(odd, 1)
		s4, s5, s6, s7 := from(even, 2), from(odd, 2), from(even, 3), from(odd, 3)
		for r := half; r < len(a); r += 2 {
			left := &w.words[a[r]]
			for number := range 4 {
				v := left[(first+number)&31]
				k := 4*(r&^1) + 2*number
				x, p := low(v), &right[k&15]
				s0 += x * p[0]
				s1 += x * p[1]
				s2 += x * p[2]
				s3 += x * p[3]
				s4 += x * p[4]
				s5 += x * p[5]
				s6 += x * p[6]
				s7 += x * p[7]
				y, q := high(v), &right[(k+1)&15]
				s0 += y * q[0]
				s1 += y * q[1]
				s2 += y * q[2]
				s3 += y * q[3]
				s4 += y * q[4]
				s5 += y * q[5]
				s6 += y * q[6]
				s7 += y * q[7]
			}
		}
		to := func(n int, x, y float32) {
			sums[2*half][(first+n)&31], sums[2*half+1][(first+n)&31] = math.Float32bits(x), math.Float32bits(y)
		}
		to(0, s0, s1)
		to(1, s2, s3)
		to(2, s4, s5)
		to(3, s6, s7)
	}
	for r, slot := range out {
		w.words[slot] = sums[r]
	}
}

// ldmatrix loads 8 × 8 matrices of 16-bit elements: lane 8·m + r holds the address
// of row r of matrix m; lane l receives elements 2·(l%4) and the next of row l/4,
// or with .trans of column l/4.
func (d *decoder) ldmatrix() {
	parts := d.st.parts
	d.in.class = MemoryAccess
	if len(parts) < 6 || strings.Join(parts[1:4], ".") != "sync.aligned.m8n8" {
		d.fail("instruction %s is not known", d.st.opcode)
	}
	count, transposed, s := 0, false, spaceGeneric
	for _, p := range parts[4:] {
		switch p {
		case "x1":
			count = 1
		case "x2":
			count = 2
		case "x4":
			count = 4
		case "trans":
			transposed = true
		case "shared", "shared::cta":
			s = spaceShared
		case "b16":
		default:
			d.fail("instruction %s is not known", d.st.opcode)
		}
	}
	d.count(2)
	target := d.operand(0)
	if target.kind != isVector {
		target = operand{list: []operand{target}}
	}
	if len(target.list) != count {
		d.fail("%d registers for %d matrices", len(target.list), count)
	}
	fill := d.addresses(d.operand(1), s)
	var outs []int
	for _, o := range target.list {
		outs = append(outs, d.destination(o, words))
	}
	rows := ^uint32(0) >> (32 - 8*count) // lanes whose addresses count
	d.in.run = func(w *warp, mask uint32) {
		if !w.whole(mask) {
			return
		}
		fill(w, mask)
		w.load(s, rows, 16, together)
		if w.fault != nil {
			return
		}
		for m, out := range outs {
			matrix := w.buffer[128*m : 128*m+128]
			to := &w.words[out]
			for lane := range to {
				group, number := lane>>2, lane&3
				if !transposed {
					to[lane] = binary.LittleEndian.Uint32(matrix[16*group+4*number:])
				} else {
					to[lane] = uint32(binary.LittleEndian.Uint16(matrix[32*number+2*group:])) | uint32(binary.LittleEndian.Uint16(matrix[32*number+16+2*group:]))<<16
				}
			}
		}
	}
}

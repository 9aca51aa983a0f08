package main

import (
	"fmt"
	"math"
)

// Kernels of random numbers, those of package philox: as many blocks of Philox4x32-10
// at a time as a vector has words. A block's four words are a row of the result, and
// rows come out in order without crossing lanes of 128 bits if word 4l+q of the
// vectors belongs to block q·lanes/4 + l.
//
// The cipher multiplies words to 64 bits: it runs on blocks of even and of odd words
// apart, each word in the lower half of 64 bits. What is in the upper half counts for
// nothing.

// Offsets in philoxArgs.
const (
	philoxDst, philoxGroups, philoxCounter, philoxKeys = 0, 8, 16, 32
	philoxCentre, philoxHalf                           = 112, 116
)

const philoxRounds = 10

// random emits kernels of one instruction set with their own table of numbers.
type random struct {
	*emitter
	table []uint32 // each of them in all words of a vector
}

// philox emits the kernels of all instruction sets as one file.
func philox(declare func(name, signature string)) string {
	e := &emitter{}
	e.WriteString(mark + "#include \"textflag.h\"\n")
	for _, s := range sets {
		e.set = s
		r := &random{emitter: e}
		declare(r.kernel("philoxUniform", r.uniforms), "a *philoxArgs")
		declare(r.kernel("philoxNormal", r.normals), "a *philoxArgs")
		r.data()
	}
	return e.String()
}

// kernel emits one that makes numbers of the words in vectors w, in place.
func (e *random) kernel(name string, numbers func(w []int)) string {
	name += e.name
	e.function(name, "a *philoxArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ %d(AX), DI", philoxDst)
	e.op("MOVQ %d(AX), CX", philoxGroups)
	if e.reg == "Z" {
		e.op("MOVL $0xaaaa, BX")
		e.op("KMOVW BX, K1")
	}
	e.op("PCALIGN $32")
	e.label("group")
	w := e.words()
	numbers(w)
	e.rows(w)
	e.op("ADDL $%d, %d(AX)", e.lanes, philoxCounter)
	e.op("ADDQ $%d, DI", 16*e.lanes)
	e.op("DECQ CX")
	e.op("JNZ group")
	e.ret()
	return name
}

// words emits the cipher and returns the vectors of its four words; the others are free.
func (e *random) words() []int {
	const multiplier0, multiplier1, key0, key1 = 12, 13, 14, 15
	halves := [2][6]int{{0, 1, 2, 3, 8, 9}, {4, 5, 6, 7, 10, 11}} // counters and two products
	e.op("VMOVDQU%s %s, %s", e.width(), e.number(0xD2511F53), e.vec(multiplier0))
	e.op("VMOVDQU%s %s, %s", e.width(), e.number(0xCD9E8D57), e.vec(multiplier1))
	for i, c := range halves {
		for j := range 4 {
			e.op("VPBROADCASTD %d(AX), %s", philoxCounter+4*j, e.vec(c[j]))
		}
		e.op("VPADDD blocks%s<>+%d(SB), %s, %s", e.name, 64*i, e.vec(c[0]), e.vec(c[0]))
	}
	for round := range philoxRounds {
		e.op("VPBROADCASTD %d(AX), %s", philoxKeys+8*round, e.vec(key0))
		e.op("VPBROADCASTD %d(AX), %s", philoxKeys+8*round+4, e.vec(key1))
		for i := range halves {
			c := &halves[i]
			c0, c1, c2, c3, p0, p1 := c[0], c[1], c[2], c[3], c[4], c[5]
			e.op("VPMULUDQ %s, %s, %s", e.vec(multiplier0), e.vec(c0), e.vec(p0))
			e.op("VPMULUDQ %s, %s, %s", e.vec(multiplier1), e.vec(c2), e.vec(p1))
			e.op("VPSRLQ $32, %s, %s", e.vec(p1), e.vec(c0))
			e.op("VPSRLQ $32, %s, %s", e.vec(p0), e.vec(c2))
			e.xorTwo(c1, key0, c0)
			e.xorTwo(c3, key1, c2)
			*c = [6]int{c0, p1, c2, p0, c1, c3}
		}
	}
	even, odd := halves[0][:4], halves[1][:4]
	for j := range 4 {
		if e.reg == "Z" {
			e.op("VPSHUFD $0xa0, %s, K1, %s", e.vec(odd[j]), e.vec(even[j]))
			continue
		}
		e.op("VPSLLQ $32, %s, %s", e.vec(odd[j]), e.vec(odd[j]))
		e.op("VPBLENDD $0xaa, %s, %s, %s", e.vec(odd[j]), e.vec(even[j]), e.vec(even[j]))
	}
	return even
}

// xorTwo emits to ^= a ^ b.
func (e *random) xorTwo(a, b, to int) {
	if e.reg == "Z" {
		e.op("VPTERNLOGD $0x96, %s, %s, %s", e.vec(a), e.vec(b), e.vec(to))
		return
	}
	e.op("VPXOR %s, %s, %s", e.vec(a), e.vec(to), e.vec(to))
	e.op("VPXOR %s, %s, %s", e.vec(b), e.vec(to), e.vec(to))
}

// free lists vectors that are not in w.
func free(w []int) []int {
	var list []int
	for i := range 16 {
		used := false
		for _, v := range w {
			used = used || v == i
		}
		if !used {
			list = append(list, i)
		}
	}
	return list
}

// uniforms emits centre + half·(2u − 1), u = (w>>8 | 1)·2⁻²⁴, rounded after each operation.
func (e *random) uniforms(w []int) {
	t := free(w)
	centre, half := t[0], t[1]
	e.op("VBROADCASTSS %d(AX), %s", philoxCentre, e.vec(centre))
	e.op("VBROADCASTSS %d(AX), %s", philoxHalf, e.vec(half))
	for _, x := range w {
		e.op("VPSRLD $8, %s, %s", e.vec(x), e.vec(x))
		e.logic("OR", e.number(1), x, x)
		e.op("VCVTDQ2PS %s, %s", e.vec(x), e.vec(x))
		e.by("VMULPS", 0x1p-23, x, x) // 2u, exactly
		e.by("VSUBPS", 1, x, x)
		e.op("VMULPS %s, %s, %s", e.vec(half), e.vec(x), e.vec(x))
		e.op("VADDPS %s, %s, %s", e.vec(centre), e.vec(x), e.vec(x))
	}
}

// normals emits Box and Muller's transform of words 0 and 1 and of words 2 and 3,
// operation by operation as package philox has it.
func (e *random) normals(w []int) {
	for i := 0; i < 4; i += 2 {
		e.boxMuller(w[i], w[i+1], free(w))
	}
}

func (e *random) boxMuller(radius, angle int, t []int) {
	mul := func(a, b, to int) { e.op("VMULPS %s, %s, %s", e.vec(a), e.vec(b), e.vec(to)) }
	add := func(a, b, to int) { e.op("VADDPS %s, %s, %s", e.vec(a), e.vec(b), e.vec(to)) }
	sub := func(a, b, to int) { e.op("VSUBPS %s, %s, %s", e.vec(b), e.vec(a), e.vec(to)) } // a − b
	// u of a word without sign.
	if e.reg == "Z" {
		e.op("VCVTUDQ2PS %s, %s", e.vec(radius), e.vec(radius))
	} else { // two halves, both exact, are rounded once
		e.op("VPSRLD $16, %s, %s", e.vec(radius), e.vec(t[0]))
		e.logic("AND", e.number(0xffff), radius, radius)
		e.op("VCVTDQ2PS %s, %s", e.vec(t[0]), e.vec(t[0]))
		e.op("VCVTDQ2PS %s, %s", e.vec(radius), e.vec(radius))
		e.by("VMULPS", 65536, t[0], t[0])
		add(t[0], radius, radius)
	}
	e.by("VMULPS", 0x1p-32, radius, radius)
	e.by("VADDPS", 0x1p-33, radius, radius)

	// logarithm
	const sqrtHalf, one = 0x3f3504f3, 0x3f800000
	f, k, s, z, p, h := t[0], t[1], t[2], t[3], t[4], t[5]
	e.op("VPADDD %s, %s, %s", e.number(one-sqrtHalf), e.vec(radius), e.vec(f))
	e.op("VPSRLD $23, %s, %s", e.vec(f), e.vec(k))
	e.op("VPSUBD %s, %s, %s", e.number(127), e.vec(k), e.vec(k))
	e.op("VCVTDQ2PS %s, %s", e.vec(k), e.vec(k))
	e.logic("AND", e.number(0x7fffff), f, f)
	e.op("VPADDD %s, %s, %s", e.number(sqrtHalf), e.vec(f), e.vec(f))
	e.by("VSUBPS", 1, f, f)
	e.by("VADDPS", 2, f, s)
	e.op("VDIVPS %s, %s, %s", e.vec(s), e.vec(f), e.vec(s))
	mul(s, s, z)
	w := h
	mul(z, z, w)
	t1 := t[6]
	e.by("VMULPS", 0xf89e26.0p-26, w, t1)
	e.by("VADDPS", 0xccce13.0p-25, t1, t1)
	mul(w, t1, t1)
	e.by("VMULPS", 0x91e9ee.0p-25, w, p)
	e.by("VADDPS", 0xaaaaaa.0p-24, p, p)
	mul(z, p, p)
	add(p, t1, p)
	e.by("VMULPS", .5, f, h)
	mul(h, f, h)
	add(h, p, p)
	mul(s, p, p)
	e.by("VMULPS", 9.0580006145e-06, k, z)
	add(p, z, p)
	sub(p, h, p)
	add(p, f, p)
	e.by("VMULPS", 6.9313812256e-01, k, k)
	add(p, k, p)
	e.by("VMULPS", -2, p, p)
	e.op("VSQRTPS %s, %s", e.vec(p), e.vec(radius))

	// sincos
	q, x, sin, cos := t[0], angle, t[1], t[2]
	z, p, h = t[3], t[4], t[5]
	e.op("VPADDD %s, %s, %s", e.number(1<<29), e.vec(angle), e.vec(q))
	e.op("VPSRLD $30, %s, %s", e.vec(q), e.vec(q))
	e.op("VPSLLD $30, %s, %s", e.vec(q), e.vec(z))
	e.op("VPSUBD %s, %s, %s", e.vec(z), e.vec(angle), e.vec(x))
	e.op("VCVTDQ2PS %s, %s", e.vec(x), e.vec(x))
	e.by("VMULPS", 1.57079632679489661923*0x1p-30, x, x)
	mul(x, x, z)
	polynomial := func(c2, c1, c0 float64) {
		e.by("VMULPS", c2, z, p)
		e.by("VADDPS", c1, p, p)
		mul(z, p, p)
		e.by("VADDPS", c0, p, p)
	}
	polynomial(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
	mul(x, z, sin)
	mul(sin, p, sin)
	add(x, sin, sin)
	polynomial(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
	mul(z, z, cos)
	mul(cos, p, cos)
	e.by("VMULPS", .5, z, h)
	e.op("VMOVUPS %s, %s", e.number(math.Float32bits(1)), e.vec(p))
	sub(p, h, h)
	add(h, cos, cos)

	// Quarter q: swap for odd q, then the signs.
	e.op("VPSLLD $31, %s, %s", e.vec(q), e.vec(h))
	e.op("VPSRAD $31, %s, %s", e.vec(h), e.vec(h))
	e.logic("XOR", e.vec(sin), cos, p)
	e.logic("AND", e.vec(h), p, p)
	e.logic("XOR", e.vec(p), sin, sin)
	e.logic("XOR", e.vec(p), cos, cos)
	e.op("VPADDD %s, %s, %s", e.number(1), e.vec(q), e.vec(p))
	for _, sign := range [][2]int{{q, sin}, {p, cos}} {
		e.logic("AND", e.number(2), sign[0], h)
		e.op("VPSLLD $30, %s, %s", e.vec(h), e.vec(h))
		e.logic("XOR", e.vec(h), sign[1], sign[1])
	}
	mul(radius, sin, angle)
	mul(radius, cos, radius)
}

// rows stores the blocks one behind the other.
func (e *random) rows(w []int) {
	t := free(w)
	e.op("VUNPCKLPS %s, %s, %s", e.vec(w[1]), e.vec(w[0]), e.vec(t[0]))
	e.op("VUNPCKHPS %s, %s, %s", e.vec(w[1]), e.vec(w[0]), e.vec(t[1]))
	e.op("VUNPCKLPS %s, %s, %s", e.vec(w[3]), e.vec(w[2]), e.vec(t[2]))
	e.op("VUNPCKHPS %s, %s, %s", e.vec(w[3]), e.vec(w[2]), e.vec(t[3]))
	for q := range 4 {
		half := "L"
		if q%2 == 1 {
			half = "H"
		}
		e.op("VUNPCK%sPD %s, %s, %s", half, e.vec(t[2+q/2]), e.vec(t[q/2]), e.vec(w[q]))
		e.op("VMOVUPS %s, %d(DI)", e.vec(w[q]), 4*e.lanes*q)
	}
}

// logic emits to = a OR, AND or XOR b on bits.
func (e *random) logic(name, a string, b, to int) {
	if e.reg == "Z" {
		name += "D"
	}
	e.op("VP%s %s, %s, %s", name, a, e.vec(b), e.vec(to))
}

// by emits an operation on a number: to = from op x.
func (e *random) by(name string, x float64, from, to int) {
	e.op("%s %s, %s, %s", name, e.number(math.Float32bits(float32(x))), e.vec(from), e.vec(to))
}

func (e *random) width() string {
	if e.reg == "Z" {
		return "32"
	}
	return ""
}

// number is a word in all places of a vector, in memory.
func (e *random) number(bits uint32) string {
	at := 0
	for at < len(e.table) && e.table[at] != bits {
		at++
	}
	if at == len(e.table) {
		e.table = append(e.table, bits)
	}
	return fmt.Sprintf("philox%s<>+%d(SB)", e.name, 4*e.lanes*at)
}

// data emits the numbers, and the blocks of even and of odd words.
func (e *random) data() {
	words := func(name string, list []uint32) {
		e.WriteString("\n")
		for i, w := range list {
			fmt.Fprintf(e, "DATA %s%s<>+%d(SB)/4, $0x%08x\n", name, e.name, 4*i, w)
		}
		fmt.Fprintf(e, "GLOBL %s%s<>(SB), RODATA|NOPTR, $%d\n", name, e.name, 4*len(list))
	}
	var numbers []uint32
	for _, n := range e.table {
		for range e.lanes {
			numbers = append(numbers, n)
		}
	}
	words("philox", numbers)
	blocks := make([]uint32, 32)
	for word := range e.lanes {
		blocks[word%2*16+word/2*2] = uint32(word%4*e.lanes/4 + word/4)
	}
	words("blocks", blocks)
}

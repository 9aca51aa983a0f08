package main

import (
	"fmt"
	"math"
)

// pairTransform is a transform of Winograd's gradient of weights, F(2×2, 3×3), of
// two squares of bfloat16 to rows of pairs, rounded with feedback: package cpu
// says why (feedback), and what is rounded.
//
// Along an axis both transforms are: places 1 and 2 are the sum m₁+m₂ and the
// difference m₂−m₁ of the middle; rounded, they are R₁ and R₂; places 0 and 3 are
// a − f·(R₁+R₂) and −b − f·(R₂−R₁) of the ends a and b.
type pairTransform struct {
	name string
	side int // of a square that is read
	// Lines of the square that are the middle, and the ends where they are lines of
	// their own; else a is m₂/2, b is m₁/2.
	middle, ends []int
	feedback     float32 // f
}

var pairTransforms = []pairTransform{
	{name: "winogradPairsInput", side: 4, middle: []int{1, 2}, ends: []int{0, 3}, feedback: .5},
	{name: "winogradPairsOutputGrad", side: 2, middle: []int{1, 0}, feedback: -.25},
}

// Offsets in pairTransformArgs.
const (
	pairsIn, pairsOut, pairsPlace, pairsPanel = 0, 8, 16, 24
	pairsEnd, pairsTail, pairsMask            = 32, 40, 48
)

const panelVectors = 4

// Vectors of these transforms: two lines of the square, the lines of places 1 and 2
// rounded, times the other axis' feedback, and the line in hand; constants.
const (
	pairLines, pairAlong, pairLine    = 0, 8, 16 // of four
	pairSum, pairRounded              = 20, 22   // of two
	pairFed, pairMerged               = 24, 25
	pairRounding                      = 26 // of two
	pairHalf, pairUpper, pairFeedback = 28, 29, 30
)

// Registers of these transforms: SI addresses of pixels, R13 bytes into them, R14 where
// whole vectors end, R8 a pixel; rows of places, BX bytes from place to place, DX thrice;
// CX vectors left of a panel, R12 from its end to the next.
var placeRows = []string{"DI", "R9", "R10", "R11"}

// winogradPairs emits a transform and returns its name.
func (e *emitter) winogradPairs(k pairTransform) string {
	name := k.name + e.name
	e.function(name, "a *pairTransformArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ %d(AX), SI", pairsIn)
	e.op("MOVQ %d(AX), DI", pairsOut)
	e.op("MOVQ %d(AX), BX", pairsPlace)
	e.op("MOVQ %d(AX), R13", pairsMask)
	e.op("KMOVW (R13), K1")
	e.op("MOVQ %d(AX), R12", pairsPanel)
	e.op("MOVL $%d, CX", panelVectors)
	e.op("XORQ R13, R13")
	e.op("MOVQ %d(AX), R14", pairsEnd)
	e.op("LEAQ (BX)(BX*2), DX")
	for i := range placeRows[1:] {
		e.op("LEAQ (%s)(BX*4), %s", placeRows[i], placeRows[i+1])
	}
	e.op("VMOVUPS %s, Z%d", e.number(.5), pairHalf)
	for _, c := range []struct {
		bits     uint32
		register int
	}{{0xffff0000, pairUpper}, {0x8000, pairRounding}, {0x7fff, pairRounding + 1}, {math.Float32bits(k.feedback), pairFeedback}} {
		e.op("MOVL $0x%x, R8", c.bits)
		e.op("VPBROADCASTD R8, Z%d", c.register)
	}
	e.op("CMPQ R13, R14")
	e.op("JGE tail")
	e.op("PCALIGN $32")
	e.label("full")
	e.squarePair(k, "")
	e.op("ADDQ $%d, R13", 2*e.lanes)
	for _, r := range placeRows {
		e.op("ADDQ $%d, %s", 4*e.lanes, r)
	}
	e.op("DECQ CX")
	e.op("JNZ same")
	for _, r := range placeRows {
		e.op("ADDQ R12, %s", r)
	}
	e.op("MOVL $%d, CX", panelVectors)
	e.label("same")
	e.op("CMPQ R13, R14")
	e.op("JLT full")
	e.label("tail")
	e.op("CMPQ %d(AX), $0", pairsTail)
	e.op("JE end")
	e.squarePair(k, "K1")
	e.label("end")
	e.ret()
	return name
}

// squarePair transforms a vector of channels of both squares, lines 1, 2, 0, 3.
func (e *emitter) squarePair(k pairTransform, mask string) {
	for square := range 2 {
		s := &pairEmitter{e, k, square, mask}
		for i, line := range k.middle {
			s.load(line, pairLines+4*i)
		}
		for i, combine := range []string{"VADDPS", "VSUBPS"} {
			for _, j := range s.columns() {
				s.op("%s Z%d, Z%d, Z%d", combine, pairLines+j, pairLines+4+j, pairLine+j)
			}
			s.middleLine(1+i, pairAlong+4*i)
		}
		for i, combine := range []string{"VADDPS", "VSUBPS"} {
			if k.ends != nil {
				s.load(k.ends[i], pairLine)
			} else {
				for _, j := range s.columns() {
					s.op("VMULPS Z%d, Z%d, Z%d", pairHalf, pairLines+4*(1-i)+j, pairLine+j)
				}
			}
			s.endLine(3*i, combine)
		}
	}
}

// pairEmitter emits one of two squares.
type pairEmitter struct {
	*emitter
	pairTransform
	square int
	mask   string
}

// columns are those of a line, 1 and 2 the middle.
func (e *pairEmitter) columns() []int {
	if e.ends == nil {
		return []int{1, 2}
	}
	return []int{1, 2, 0, 3}
}

// load reads a line of the square into four vectors from to on.
func (e *pairEmitter) load(line, to int) {
	zeroing, masked := "", ""
	if e.mask != "" {
		zeroing, masked = ".Z", e.mask+", "
	}
	at := append(e.middle, e.ends...)
	for i, j := range e.columns() {
		e.op("MOVQ %d(SI), R8", 8*((e.square*e.side+line)*e.side+at[i]))
		e.op("VPMOVZXWD%s (R8)(R13*1), %sZ%d", zeroing, masked, to+j)
		e.op("VPSLLD $16, Z%d, Z%d", to+j, to+j)
	}
}

// halves are the ends of the line in hand where they are not lines of their own.
func (e *pairEmitter) halves() {
	if e.ends == nil {
		e.op("VMULPS Z%d, Z%d, Z%d", pairHalf, pairLine+2, pairLine)
		e.op("VMULPS Z%d, Z%d, Z%d", pairHalf, pairLine+1, pairLine+3)
	}
}

// middleLine rounds the line in hand to places (i, ·), and leaves what of them
// is fed back to the lines of the ends.
func (e *pairEmitter) middleLine(i, along int) {
	e.halves()
	for j, combine := range []string{"VADDPS", "VSUBPS"} {
		e.op("%s Z%d, Z%d, Z%d", combine, pairLine+1, pairLine+2, along+1+j)
		e.round(along + 1 + j)
		e.store(i, 1+j, along+1+j)
	}
	for j, combine := range []string{"VADDPS", "VSUBPS"} {
		end := pairLine + 3*j
		e.op("%s Z%d, Z%d, Z%d", combine, along+1, along+2, along+3*j)
		e.op("%s Z%d, Z%d, Z%d", []string{"VFNMADD231PS", "VFNMSUB231PS"}[j], along+3*j, pairFeedback, end)
		e.round(end)
		e.store(i, 3*j, end)
		e.op("VFMADD213PS Z%d, Z%d, Z%d", end, pairFeedback, along+3*j)
	}
}

// endLine rounds the line in hand, or that less than zero for line 3, to places (i, ·).
func (e *pairEmitter) endLine(i int, combine string) {
	e.halves()
	minus := []string{"VFNMADD231PS", "VFNMSUB231PS"} // x − f·fed and −x − f·fed
	sign := i / 3
	for j, sum := range []string{"VADDPS", "VSUBPS"} {
		e.op("%s Z%d, Z%d, Z%d", sum, pairLine+1, pairLine+2, pairRounded+j)
		e.op("%s Z%d, Z%d, Z%d", combine, pairAlong+1+j, pairAlong+5+j, pairFed)
		e.op("%s Z%d, Z%d, Z%d", minus[sign], pairFed, pairFeedback, pairRounded+j)
		e.round(pairRounded + j)
		e.store(i, 1+j, pairRounded+j)
	}
	for j, sum := range []string{"VADDPS", "VSUBPS"} {
		end := pairLine + 3*j
		e.op("%s Z%d, Z%d, Z%d", sum, pairRounded, pairRounded+1, pairSum+j)
		e.op("%s Z%d, Z%d, Z%d", combine, pairAlong+3*j, pairAlong+4+3*j, pairFed)
		e.op("VADDPS Z%d, Z%d, Z%d", pairFed, pairSum+j, pairSum+j)
		e.op("%s Z%d, Z%d, Z%d", minus[sign^j], pairSum+j, pairFeedback, end)
		e.round(end)
		e.store(i, 3*j, end)
	}
}

// round rounds to bfloat16: halves away from zero in one square and towards it in the
// other, so that sums of many are neither too large nor too small.
func (e *pairEmitter) round(v int) {
	e.op("VPADDD Z%d, Z%d, Z%d", pairRounding+e.square, v, v)
	e.op("VPANDD Z%d, Z%d, Z%d", pairUpper, v, v)
}

// store writes the second square's place beside the first's.
func (e *pairEmitter) store(i, j, v int) {
	at := fmt.Sprintf("(%s)%s", placeRows[i], []string{"", "(BX*1)", "(BX*2)", "(DX*1)"}[j])
	if e.square == 0 {
		e.op("VMOVDQU32 Z%d, %s", v, at)
		return
	}
	e.op("VPSRLD $16, %s, Z%d", at, pairMerged)
	e.op("VPORD Z%d, Z%d, Z%d", v, pairMerged, pairMerged)
	e.op("VMOVDQU32 Z%d, %s", pairMerged, at)
}

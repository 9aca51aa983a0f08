package main

import (
	"fmt"
	"strings"
)

// Kernels on bfloat16 for AMX. Go's assembler does not know its instructions: they
// are written as bytes, VEX prefixes of three bytes on the map of opcodes 0F 38.
//
// A product of two tiles, 16 rows of 32 elements by 16 rows of 16 pairs, takes 16
// cycles, a load about 8: with two tiles of rows against two of columns there is one
// load for each product. Registers 0 to 3 are sums, 4 and 5 the left operand, 6 and 7
// the right one.

// The pp of VEX stands for an older prefix.
const (
	prefixNone = iota
	prefix66
	prefixF3
	prefixF2
)

// registerNumbers in machine code, by Go's names.
var registerNumbers = map[string]int{
	"AX": 0, "CX": 1, "DX": 2, "BX": 3, "SP": 4, "BP": 5, "SI": 6, "DI": 7,
	"R8": 8, "R9": 9, "R10": 10, "R11": 11, "R12": 12, "R13": 13, "R14": 14, "R15": 15,
}

// place is an operand in memory. Of tiles, index is the bytes from row to row.
type place struct {
	base, index string // index may be empty
	offset      int
}

func (p place) String() string {
	if p.index == "" {
		return fmt.Sprintf("%d(%s)", p.offset, p.base)
	}
	return fmt.Sprintf("%d(%s)(%s*1)", p.offset, p.base, p.index)
}

// vexRegisters is an instruction between registers.
func vexRegisters(opcode, prefix, reg, vvvv, rm int) []byte {
	return []byte{0xc4, 0xe2, byte(^vvvv&15<<3 | prefix), byte(opcode), byte(3<<6 | reg<<3 | rm)}
}

// vexMemory is an instruction with an operand in memory, always with a SIB byte.
func vexMemory(opcode, prefix, reg int, p place) []byte {
	base, index := registerNumbers[p.base], 4 // which is none
	if p.index != "" {
		index = registerNumbers[p.index]
	}
	code := []byte{0xc4, byte(1<<7 | (^index>>3&1)<<6 | (^base>>3&1)<<5 | 2), byte(15<<3 | prefix), byte(opcode)}
	sib := byte(index&7<<3 | base&7)
	switch {
	case p.offset == 0 && base&7 != 5:
		return append(code, byte(reg<<3|4), sib)
	case p.offset == int(int8(p.offset)):
		return append(code, byte(1<<6|reg<<3|4), sib, byte(p.offset))
	}
	o := p.offset
	return append(code, byte(2<<6|reg<<3|4), sib, byte(o), byte(o>>8), byte(o>>16), byte(o>>24))
}

func (e *emitter) code(code []byte, comment string, args ...any) {
	var text []string
	for _, b := range code {
		text = append(text, fmt.Sprintf("BYTE $0x%02x", b))
	}
	e.op("%s // %s", strings.Join(text, "; "), fmt.Sprintf(comment, args...))
}

func (e *emitter) configure(p place) {
	e.code(vexMemory(0x49, prefixNone, 0, p), "LDTILECFG %v", p)
}

func (e *emitter) release() { e.code(vexRegisters(0x49, prefixNone, 0, 0, 0), "TILERELEASE") }

func (e *emitter) tileZero(tile int) {
	e.code(vexRegisters(0x49, prefixF2, tile, 0, 0), "TILEZERO TMM%d", tile)
}

func (e *emitter) tileLoad(p place, tile int) {
	e.code(vexMemory(0x4b, prefixF2, tile, p), "TILELOADD %v, TMM%d", p, tile)
}

func (e *emitter) tileStore(tile int, p place) {
	e.code(vexMemory(0x4b, prefixF3, tile, p), "TILESTORED TMM%d, %v", tile, p)
}

// tileDot emits TDPBF16PS: sums += left·right.
func (e *emitter) tileDot(left, right, sums int) {
	e.code(vexRegisters(0x5c, prefixF3, sums, right, left), "TDPBF16PS TMM%d, TMM%d, TMM%d", right, left, sums)
}

func sumTile(i, j int) int { return 2*i + j }
func leftTile(i int) int   { return 4 + i }
func rightTile(j int) int  { return 6 + j }

// tileStep emits one step of the sums of rows×cols tiles.
func (e *emitter) tileStep(rows, cols int, left, right func(i int) place) {
	for i := range rows {
		e.tileLoad(left(i), leftTile(i))
		for j := range cols {
			if i == 0 {
				e.tileLoad(right(j), rightTile(j))
			}
			e.tileDot(leftTile(i), rightTile(j), sumTile(i, j))
		}
	}
}

// Offsets of stripArgs, productArgs and gradientArgs in amx_amd64.go.

// strips emits the search for sixteen rows at one pitch: where the addresses are not
// that, or a row is not whole tiles long, the rows are copied, zeros behind them.
// Registers: SI addresses, DI strips, DX where to copy, CX taps left, BX sixteens left;
// R8 a row, R9 rows left, R10 vectors left, R11 whole vectors, R12 columns behind them,
// R13 where in the copy.
func (e *emitter) strips() string {
	name := "strips" + e.name
	e.function(name, "a *stripArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ 0(AX), SI")
	e.op("MOVQ 8(AX), DI")
	e.op("MOVQ 16(AX), DX")
	e.op("MOVQ 24(AX), CX")
	e.op("MOVQ 40(AX), R11")
	e.op("MOVQ 48(AX), R12")
	e.op("MOVQ 56(AX), R8")
	e.op("KMOVD (R8), K3")
	e.op("TESTQ CX, CX")
	e.op("JZ end")
	e.label("tap")
	e.op("MOVQ 32(AX), BX")
	e.op("XORQ R14, R14")
	e.label("strip")
	e.op("TESTQ R12, R12")
	e.op("JNZ copy")
	e.op("VMOVDQU64 0(SI)(R14*8), Z0")
	e.op("VMOVDQU64 8(SI)(R14*8), Z1")
	e.op("VMOVDQU64 56(SI)(R14*8), Z2")
	e.op("VMOVDQU64 64(SI)(R14*8), Z3")
	e.op("VPSUBQ Z0, Z1, Z1")
	e.op("VPSUBQ Z2, Z3, Z3")
	e.op("VPBROADCASTQ X1, Z4")
	e.op("VPCMPUQ $4, Z4, Z1, K1")
	e.op("VPCMPUQ $4, Z4, Z3, K2")
	e.op("KORTESTB K1, K2")
	e.op("JNZ copy")
	e.op("VMOVQ X0, 0(DI)(R14*1)")
	e.op("VMOVQ X1, 8(DI)(R14*1)")
	e.op("JMP next")
	e.label("copy")
	e.op("MOVQ DX, 0(DI)(R14*1)")
	e.op("MOVQ 64(AX), R13")
	e.op("MOVQ R13, 8(DI)(R14*1)")
	e.op("LEAQ (SI)(R14*8), R13")
	e.op("MOVQ $16, R9")
	e.label("row")
	e.op("MOVQ (R13), R8")
	e.op("ADDQ $8, R13")
	e.op("MOVQ R11, R10")
	e.op("TESTQ R10, R10")
	e.op("JZ tail")
	e.label("vector")
	e.op("VMOVDQU64 (R8), Z0")
	e.op("VMOVDQU64 Z0, (DX)")
	e.op("ADDQ $64, R8")
	e.op("ADDQ $64, DX")
	e.op("DECQ R10")
	e.op("JNZ vector")
	e.label("tail")
	e.op("TESTQ R12, R12")
	e.op("JZ whole")
	e.op("VMOVDQU16.Z (R8), K3, Z0")
	e.op("VMOVDQU64 Z0, (DX)")
	e.op("ADDQ $64, DX")
	e.label("whole")
	e.op("DECQ R9")
	e.op("JNZ row")
	e.label("next")
	e.op("ADDQ $16, R14")
	e.op("DECQ BX")
	e.op("JNZ strip")
	e.op("ADDQ $256, SI")
	e.op("ADDQ $32, DI")
	e.op("DECQ CX")
	e.op("JNZ tap")
	e.label("end")
	e.ret()
	return name
}

// product emits the product of strips with panels of pairs two tiles, or one, wide.
// Registers: AX arguments, SI strips, DX panel addresses, CX taps left, BX panel, DI
// its pitch, R13 sixteen of it, R8, R9 and R10, R11 a strip and its pitch, R12 steps
// left, R14 offset of the panel.
func (e *emitter) product(rows, cols int) string {
	name := fmt.Sprintf("product%s_%dx%d", e.name, 16*rows, 16*cols)
	e.function(name, "a *productArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ 120(AX), BX")
	e.configure(place{base: "BX"})
	e.op("MOVQ 32(AX), DI")
	e.op("MOVQ DI, R13")
	e.op("SHLQ $4, R13")
	e.op("XORQ R14, R14")
	e.label("panel")
	for i := range rows {
		for j := range cols {
			e.tileZero(sumTile(i, j))
		}
	}
	e.op("MOVQ 0(AX), SI")
	e.op("MOVQ 8(AX), DX")
	e.op("MOVQ 16(AX), CX")
	e.op("TESTQ CX, CX")
	e.op("JZ done")
	e.label("tap")
	e.op("MOVQ (DX), BX")
	e.op("ADDQ R14, BX")
	e.op("ADDQ $8, DX")
	for i := range 2 * rows {
		e.op("MOVQ %d(SI), R%d", 8*i, 8+i)
	}
	e.op("ADDQ $32, SI")
	e.op("MOVQ 24(AX), R12")
	e.op("PCALIGN $32")
	e.label("step")
	left := func(i int) place { return place{[]string{"R8", "R10"}[i], []string{"R9", "R11"}[i], 0} }
	e.tileStep(rows, cols, left, func(j int) place { return place{"BX", "DI", 64 * j} })
	for i := range rows {
		e.op("ADDQ $64, R%d", 8+2*i)
	}
	e.op("ADDQ R13, BX")
	e.op("DECQ R12")
	e.op("JNZ step")
	e.op("DECQ CX")
	e.op("JNZ tap")
	e.label("done")
	e.op("MOVQ 128(AX), R8 // square")
	e.op("MOVQ $128, R9")
	for i := range rows {
		for j := range cols {
			e.tileStore(sumTile(i, j), place{"R8", "R9", 16*128*i + 64*j})
		}
	}
	e.productEnd(cols)
	e.op("ADDQ 40(AX), R14 // BPanel")
	e.op("DECQ 72(AX) // panels")
	e.op("JNZ panel")
	e.release()
	e.ret()
	return name
}

// productEnd emits what follows the sums: bias, addend, rounding. Registers: R8 a row of
// the square, R10 one of C, R11 its pitch, R12 rows left, SI one of Add, DX its pitch,
// BX biases, R9 whether C is float32.
func (e *emitter) productEnd(cols int) {
	e.op("MOVQ 48(AX), R10")
	e.op("MOVQ 56(AX), R11")
	e.op("MOVQ 64(AX), R12")
	e.op("MOVQ 80(AX), R9")
	e.op("MOVQ 88(AX), BX")
	e.op("MOVQ 96(AX), SI")
	e.op("MOVQ 104(AX), DX")
	for j := range cols {
		e.zero(e.vec(2 + j))
	}
	e.op("TESTQ BX, BX")
	e.op("JZ row")
	for j := range cols {
		e.op("VMOVUPS %d(BX), Z%d", 64*j, 2+j)
	}
	e.op("ADDQ $%d, 88(AX)", 64*cols)
	e.label("row")
	for j := range cols {
		e.op("VADDPS %d(R8), Z%d, Z%d", 64*j, 2+j, j)
	}
	e.op("TESTQ SI, SI")
	e.op("JZ sum")
	for j := range cols {
		e.op("VPMOVZXWD %d(SI), Z%d", 32*j, 4+j)
		e.op("VPSLLD $16, Z%d, Z%d", 4+j, 4+j)
		e.op("VADDPS Z%d, Z%d, Z%d", 4+j, j, j)
	}
	e.op("ADDQ DX, SI")
	e.label("sum")
	e.op("TESTQ R9, R9")
	e.op("JNZ single")
	for j := range cols {
		e.narrow(j, 4+j)
		e.op("VMOVDQU32 Y%d, %d(R10)", 4+j, 32*j)
	}
	e.op("JMP next")
	e.label("single")
	for j := range cols {
		e.op("VMOVUPS Z%d, %d(R10)", j, 64*j)
	}
	e.label("next")
	e.op("ADDQ $128, R8")
	e.op("ADDQ R11, R10")
	e.op("DECQ R12")
	e.op("JNZ row")
	e.op("MOVQ 112(AX), R10 // bytes of a panel in C")
	e.op("ADDQ R10, 48(AX)")
	e.op("TESTQ SI, SI")
	e.op("JZ added")
	e.op("ADDQ $%d, 96(AX)", 32*cols)
	e.label("added")
}

// gradient emits the weight gradient of rows×cols tiles of input and output channels,
// over panels of the latter. Its sums are turned: tiles have a row for every output
// channel. Registers: AX arguments; SI input, DX its pitch; BX gradient, DI its pitch;
// R8, R10 rows of C, R9 its pitch; R11, R12 sixteen pitches of the operands, R13 steps
// left, R14 offset of the panel.
func (e *emitter) gradient(rows, cols int) string {
	name := fmt.Sprintf("gradient%s_%dx%d", e.name, 16*rows, 16*cols)
	e.function(name, "a *gradientArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ 88(AX), BX")
	e.configure(place{base: "BX"})
	e.op("MOVQ 8(AX), DX")
	e.op("MOVQ 24(AX), DI")
	e.op("MOVQ 40(AX), R8")
	e.op("MOVQ 48(AX), R9")
	e.op("MOVQ R9, R10")
	e.op("SHLQ $4, R10")
	e.op("ADDQ R8, R10")
	e.op("MOVQ DX, R11")
	e.op("SHLQ $4, R11")
	e.op("MOVQ DI, R12")
	e.op("SHLQ $4, R12")
	e.op("XORQ R14, R14")
	sum := func(i, j int) place { return place{[]string{"R8", "R10"}[j], "R9", 64 * i} }
	e.label("panel")
	e.op("CMPQ 64(AX), $0 // Accumulate")
	e.op("JNE accumulate")
	for i := range cols {
		for j := range rows {
			e.tileZero(sumTile(i, j))
		}
	}
	e.op("JMP sum")
	e.label("accumulate")
	for i := range cols {
		for j := range rows {
			e.tileLoad(sum(i, j), sumTile(i, j))
		}
	}
	e.label("sum")
	e.op("MOVQ 0(AX), SI")
	e.op("MOVQ 16(AX), BX")
	e.op("ADDQ R14, BX")
	e.op("MOVQ 32(AX), R13")
	e.op("PCALIGN $32")
	e.label("step")
	e.tileStep(cols, rows, func(i int) place { return place{"BX", "DI", 64 * i} }, func(j int) place { return place{"SI", "DX", 64 * j} })
	e.op("ADDQ R11, SI")
	e.op("ADDQ R12, BX")
	e.op("DECQ R13")
	e.op("JNZ step")
	for i := range cols {
		for j := range rows {
			e.tileStore(sumTile(i, j), sum(i, j))
		}
	}
	e.op("ADDQ $%d, R8", 64*cols)
	e.op("ADDQ $%d, R10", 64*cols)
	e.op("ADDQ 80(AX), R14 // BPanel")
	e.op("DECQ 72(AX) // panels")
	e.op("JNZ panel")
	e.release()
	e.op("RET")
	return name
}

// turn emits the transposition of squares of 16×16 words in place. Registers: SI a row
// of a square, R8 the first, R9 the first of a row of squares, DX the pitch, CX rows of
// squares left, BX squares left.
func (e *emitter) turn() string {
	name := "turn" + e.name
	e.function(name, "a *turnArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ 0(AX), R9")
	e.op("MOVQ 8(AX), DX")
	e.op("MOVQ 16(AX), CX")
	e.label("squares")
	e.op("MOVQ R9, R8")
	e.op("MOVQ 24(AX), BX")
	e.label("square")
	e.op("MOVQ R8, SI")
	for i := range 16 {
		e.op("VMOVUPS (SI), Z%d", i)
		e.op("ADDQ DX, SI")
	}
	e.turnSquare()
	e.op("MOVQ R8, SI")
	for i := range 16 {
		e.op("VMOVUPS Z%d, (SI)", i)
		e.op("ADDQ DX, SI")
	}
	e.op("ADDQ $64, R8")
	e.op("DECQ BX")
	e.op("JNZ square")
	e.op("MOVQ DX, R8")
	e.op("SHLQ $4, R8")
	e.op("ADDQ R8, R9")
	e.op("DECQ CX")
	e.op("JNZ squares")
	e.ret()
	return name
}

// peakTiles emits rounds of independent products of tiles.
func (e *emitter) peakTiles() string {
	name := "peak" + e.name
	e.function(name, "a *peakArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ 0(AX), BX")
	e.op("MOVQ 8(AX), CX")
	e.configure(place{base: "BX"})
	for i := range 8 {
		e.tileZero(i)
	}
	e.op("PCALIGN $32")
	e.label("round")
	for range 2 {
		for i := range 4 {
			e.tileDot(leftTile(i/2), rightTile(i%2), i)
		}
	}
	e.op("DECQ CX")
	e.op("JNZ round")
	e.release()
	e.op("RET")
	return name
}

// tiles is the file of these kernels.
func tiles(declare func(name, signature string)) string {
	e := &emitter{set: set{name: "AMX", reg: "Z", regs: 32, lanes: 16}}
	e.WriteString(mark + "#include \"textflag.h\"\n")
	declare(e.strips(), "a *stripArgs")
	for rows := 1; rows <= 2; rows++ {
		for cols := 1; cols <= 2; cols++ {
			declare(e.product(rows, cols), "a *productArgs")
			declare(e.gradient(rows, cols), "a *gradientArgs")
		}
	}
	declare(e.turn(), "a *turnArgs")
	declare(e.peakTiles(), "a *peakArgs")
	return e.String()
}

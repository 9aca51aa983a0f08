package main

import (
	"fmt"
	"strings"
)

// Kernels on bfloat16 for AVX-512. Those of products need AVX512-BF16, whose
// instructions Go's assembler does not know: they are written as bytes.

// dot emits VDPBF16PS: acc += the products of two pairs of bfloat16, in each
// 32-bit lane. It rounds to nearest even and takes denormals for zero, on the
// way in and out, whatever MXCSR says.
func (e *emitter) dot(x, y, acc int) { e.bytes("VDPBF16PS", evexF3, 0x52, acc, x, y) }

// narrow emits VCVTNEPS2BF16: a vector of float32 rounded to half of one.
func (e *emitter) narrow(from, to int) { e.bytes("VCVTNEPS2BF16", evexF3, 0x72, to, 0, from) }

// narrowTwo emits VCVTNE2PS2BF16: two vectors of float32 rounded to one.
func (e *emitter) narrowTwo(first, second, to int) {
	e.bytes("VCVTNE2PS2BF16", evexF2, 0x72, to, second, first)
}

// Prefixes of instructions.
const evexF3, evexF2 = 2, 3

// bytes emits an instruction of EVEX.512.0F38.W0 between registers. EVEX keeps the
// upper bits of register numbers inverted, in places of their own.
func (e *emitter) bytes(name string, prefix, opcode, reg, vvvv, rm int) {
	not := func(register, bit int) int { return ^register >> bit & 1 }
	code := []int{
		0x62,
		not(reg, 3)<<7 | not(rm, 4)<<6 | not(rm, 3)<<5 | not(reg, 4)<<4 | 2,
		(^vvvv&15)<<3 | 1<<2 | prefix,
		2<<5 | not(vvvv, 4)<<3,
		opcode,
		3<<6 | reg&7<<3 | rm&7,
	}
	var text []string
	for _, b := range code {
		text = append(text, fmt.Sprintf("BYTE $0x%02x", b))
	}
	e.op("%s // %s Z%d, Z%d, Z%d", strings.Join(text, "; "), name, rm, vvvv, reg)
}

// tileRegister numbers what tileRegisters names.
func tileRegister(vecs int) (acc func(i, j int) int, b, broadcast func(i int) int) {
	return func(i, j int) int { return i*vecs + j },
		func(j int) int { return tileRows*vecs + j },
		func(i int) int { return (tileRows+1)*vecs + i%2 }
}

// tileBF16 emits the product of six rows of bfloat16 found by address with
// panels of pairs. What is added in the end is fetched in the beginning. Registers are those of tile.
func (e *emitter) tileBF16(vecs int) string {
	name := fmt.Sprintf("tileBF16%s_%d", e.name, vecs*e.lanes)
	e.function(name, "t *TileBF16", 8)
	acc, b, bc := tileRegister(vecs)
	e.op("MOVQ t+0(FP), AX")
	e.op("MOVQ 0(AX), SI")
	e.op("MOVQ 8(AX), DX")
	e.op("MOVQ 16(AX), CX")
	e.op("MOVQ 32(AX), DI")
	e.op("MOVQ 88(AX), BX // Add")
	e.op("TESTQ BX, BX")
	e.op("JZ fetched")
	e.op("MOVQ 56(AX), R8 // Rows")
	e.label("fetch")
	for line := 0; line < 32*vecs; line += 64 {
		e.op("PREFETCHT0 %d(BX)", line)
	}
	e.op("ADDQ 96(AX), BX")
	e.op("DECQ R8")
	e.op("JNZ fetch")
	e.label("fetched")
	for i := range tileRows * vecs {
		e.zero(e.vec(i))
	}
	e.op("TESTQ CX, CX")
	e.op("JZ done")
	e.label("tap")
	e.op("MOVQ (DX), BX")
	e.op("ADDQ $8, DX")
	e.op("MOVQ 24(AX), R14")
	e.op("SHRQ $1, R14")
	e.op("SHLQ $2, R14")
	for i := range tileRows {
		e.op("MOVQ %d(SI), R%d", 8*i, 8+i)
		e.op("ADDQ R14, R%d", 8+i)
	}
	e.op("ADDQ $%d, SI", 8*tileRows)
	e.op("NEGQ R14")
	e.op("JZ odd")
	e.op("PCALIGN $32")
	e.label("depth")
	for j := range vecs {
		e.op("VMOVUPS %d(BX), Z%d", 64*j, b(j))
	}
	e.op("ADDQ DI, BX")
	for i := range tileRows {
		e.op("VBROADCASTSS (R%d)(R14*1), Z%d", 8+i, bc(i))
		for j := range vecs {
			e.dot(b(j), bc(i), acc(i, j))
		}
	}
	e.op("ADDQ $4, R14")
	e.op("JNZ depth")
	e.label("odd")
	e.op("TESTB $1, 24(AX)")
	e.op("JZ next")
	for j := range vecs {
		e.op("VMOVUPS %d(BX), Z%d", 64*j, b(j))
	}
	for i := range tileRows {
		e.op("MOVWLZX (R%d), R14", 8+i)
		e.op("VPBROADCASTD R14, Z%d", bc(i))
		for j := range vecs {
			e.dot(b(j), bc(i), acc(i, j))
		}
	}
	e.label("next")
	e.op("DECQ CX")
	e.op("JNZ tap")
	e.label("done")
	e.op("MOVQ 80(AX), BX // Bias")
	e.op("TESTQ BX, BX")
	e.op("JZ add")
	for j := range vecs {
		e.op("VMOVUPS %d(BX), Z%d", 64*j, b(j))
	}
	for i := range tileRows {
		for j := range vecs {
			e.op("VADDPS Z%d, Z%d, Z%d", b(j), acc(i, j), acc(i, j))
		}
	}
	e.label("add")
	e.op("MOVQ 56(AX), CX // Rows")
	e.op("MOVQ 88(AX), SI // Add")
	e.op("MOVQ 96(AX), DX // AddPitch")
	e.op("TESTQ SI, SI")
	e.op("JZ store")
	for i := range tileRows {
		for j := range vecs {
			e.op("VPMOVZXWD %d(SI), Z%d", 32*j, b(j))
			e.op("VPSLLD $16, Z%d, Z%d", b(j), b(j))
			e.op("VADDPS Z%d, Z%d, Z%d", b(j), acc(i, j), acc(i, j))
		}
		if i < tileRows-1 {
			e.op("ADDQ DX, SI")
			e.op("DECQ CX")
			e.op("JZ store")
		}
	}
	e.label("store")
	e.op("MOVQ 40(AX), DI // C")
	e.op("MOVQ 48(AX), R8 // CPitch")
	e.op("MOVQ 56(AX), CX // Rows")
	e.op("CMPQ 72(AX), $0")
	e.op("JNE single")
	e.rows(func(i int) {
		for j := range vecs {
			e.narrow(acc(i, j), b(j))
			e.op("VMOVDQU32 Y%d, %d(DI)", b(j), 32*j)
		}
	})
	e.label("single")
	e.rows(func(i int) {
		for j := range vecs {
			e.op("VMOVUPS Z%d, %d(DI)", acc(i, j), 64*j)
		}
	})
	e.label("end")
	e.ret()
	return name
}

// tileTBF16 emits the weight gradient over rows of pairs: six consecutive pairs
// of A against a row of vectors of B. Registers: SI row of A, DX its pitch, BX row
// of B, DI its pitch, CX rows left.
func (e *emitter) tileTBF16(vecs int) string {
	name := fmt.Sprintf("tileTBF16%s_%d", e.name, vecs*e.lanes)
	e.function(name, "t *TileTBF16", 8)
	acc, b, bc := tileRegister(vecs)
	e.op("MOVQ t+0(FP), AX")
	e.op("MOVQ 0(AX), SI")
	e.op("MOVQ 8(AX), DX")
	e.op("MOVQ 16(AX), BX")
	e.op("MOVQ 24(AX), DI")
	e.op("MOVQ 32(AX), CX")
	for i := range tileRows * vecs {
		e.zero(e.vec(i))
	}
	e.op("PCALIGN $32")
	e.label("depth")
	for j := range vecs {
		e.op("VMOVUPS %d(BX), Z%d", 64*j, b(j))
	}
	e.op("ADDQ DI, BX")
	for i := range tileRows {
		e.op("VBROADCASTSS %d(SI), Z%d", 4*i, bc(i))
		for j := range vecs {
			e.dot(b(j), bc(i), acc(i, j))
		}
	}
	e.op("ADDQ DX, SI")
	e.op("DECQ CX")
	e.op("JNZ depth")
	e.storeOrAccumulate(vecs)
	return name
}

// pairs emits the interleaving of two rows of bfloat16, from addresses, to one of
// pairs. Registers: SI addresses, DI row of pairs, DX its pitch, CX rows left; R8, R9
// the two rows, R10 where in the row of pairs, BX whole vectors left, R11 columns behind them.
//
// Rows of float32 are rounded on the way.
func (e *emitter) pairs(float bool) string {
	name, bytes := "pairs"+e.name, 2
	load := func(suffix string) {
		for i := range 2 {
			e.op("VPMOVZXWD%s, Z%d", strings.ReplaceAll(suffix, "R", fmt.Sprint("R", 8+i)), i)
		}
	}
	if float {
		name, bytes = "pairsRounded"+e.name, 4
		load = func(suffix string) {
			for i := range 2 {
				e.op("VMOVUPS%s, Z%d", strings.ReplaceAll(suffix, "R", fmt.Sprint("R", 8+i)), i)
				e.narrow(i, i)
				e.op("VPMOVZXWD Y%d, Z%d", i, i)
			}
		}
	}
	e.function(name, "a *pairArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ 0(AX), SI")
	e.op("MOVQ 8(AX), DI")
	e.op("MOVQ 16(AX), DX")
	e.op("MOVQ 24(AX), CX")
	e.op("MOVQ 40(AX), R11")
	e.op("MOVQ 48(AX), R10")
	e.op("KMOVW (R10), K1")
	e.label("row")
	e.op("MOVQ 56(AX), R8")
	e.op("MOVQ R8, R9")
	e.op("ADDQ (SI), R8")
	e.op("ADDQ 8(SI), R9")
	e.op("ADDQ $16, SI")
	e.op("MOVQ DI, R10")
	e.op("ADDQ DX, DI")
	e.op("MOVQ 32(AX), BX")
	e.op("TESTQ BX, BX")
	e.op("JZ tail")
	e.label("vector")
	load(" (R)")
	e.op("VPSLLD $16, Z1, Z1")
	e.op("VPORD Z0, Z1, Z1")
	e.op("VMOVUPS Z1, (R10)")
	e.op("ADDQ $%d, R8", 16*bytes)
	e.op("ADDQ $%d, R9", 16*bytes)
	e.op("ADDQ $64, R10")
	e.op("DECQ BX")
	e.op("JNZ vector")
	e.label("tail")
	e.op("TESTQ R11, R11")
	e.op("JZ next")
	load(".Z (R), K1")
	e.op("VPSLLD $16, Z1, Z1")
	e.op("VPORD Z0, Z1, Z1")
	e.op("VMOVUPS Z1, (R10)")
	e.label("next")
	e.op("DECQ CX")
	e.op("JNZ row")
	e.ret()
	return name
}

// addresses emits the addresses of the rows that a table of sources names: base +
// source·pitch, or elsewhere where it is negative. Registers: SI sources, DI addresses,
// CX sources left, R8 bits of those that are negative in all vectors.
func (e *emitter) addresses() string {
	name := "addresses" + e.name
	e.function(name, "a *addressArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ 0(AX), DI")
	e.op("MOVQ 8(AX), SI")
	e.op("MOVQ 16(AX), CX")
	e.op("VPBROADCASTQ 24(AX), Z1")
	e.op("VPBROADCASTQ 32(AX), Z2")
	e.op("VPBROADCASTQ 40(AX), Z3")
	e.op("MOVL $255, R8")
	e.op("SUBQ $8, CX")
	e.op("JLT tail")
	e.label("vector")
	e.op("VPMOVSXDQ (SI), Z0")
	e.op("VPMOVQ2M Z0, K1")
	e.op("VPMULUDQ Z2, Z0, Z0")
	e.op("VPADDQ Z1, Z0, Z0")
	e.op("VMOVDQA64 Z3, K1, Z0")
	e.op("VMOVDQU64 Z0, (DI)")
	e.op("KMOVB K1, R9")
	e.op("ANDL R9, R8")
	e.op("ADDQ $32, SI")
	e.op("ADDQ $64, DI")
	e.op("SUBQ $8, CX")
	e.op("JGE vector")
	e.label("tail")
	e.op("ADDQ $8, CX")
	e.op("JZ end")
	e.op("MOVL $1, R10")
	e.op("SHLL CX, R10")
	e.op("DECL R10")
	e.op("KMOVB R10, K2")
	e.op("VPMOVSXDQ.Z (SI), K2, Z0")
	e.op("VPMOVQ2M Z0, K1")
	e.op("VPMULUDQ Z2, Z0, Z0")
	e.op("VPADDQ Z1, Z0, Z0")
	e.op("VMOVDQA64 Z3, K1, Z0")
	e.op("VMOVDQU64 Z0, K2, (DI)")
	e.op("KMOVB K1, R9")
	e.op("NOTL R10")
	e.op("ORL R10, R9")
	e.op("ANDL R9, R8")
	e.label("end")
	e.op("ANDL $255, R8")
	e.op("MOVQ R8, 48(AX)")
	e.ret()
	return name
}

// cast emits the conversion of n elements between bfloat16 and float32.
// Registers: SI from, DI to, CX whole vectors left.
func (e *emitter) cast(name string, fromBytes, toBytes int, load, store string, convert func()) string {
	name += e.name
	e.function(name, "a *castArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ 0(AX), SI")
	e.op("MOVQ 8(AX), DI")
	e.op("MOVQ 16(AX), CX")
	e.op("MOVQ 32(AX), R10")
	e.op("KMOVW (R10), K1")
	for i, constant := range []string{"$1", "$0x7fff", "$0x40"} {
		e.op("MOVL %s, R8", constant)
		e.op("VPBROADCASTD R8, Z%d", 4+i)
	}
	e.op("TESTQ CX, CX")
	e.op("JZ tail")
	e.label("vector")
	e.op("%s (SI), Z0", load)
	convert()
	e.op("%s Z1, (DI)", store)
	e.op("ADDQ $%d, SI", 16*fromBytes)
	e.op("ADDQ $%d, DI", 16*toBytes)
	e.op("DECQ CX")
	e.op("JNZ vector")
	e.label("tail")
	e.op("CMPQ 24(AX), $0")
	e.op("JE end")
	e.op("%s.Z (SI), K1, Z0", load)
	convert()
	e.op("%s Z1, K1, (DI)", store)
	e.label("end")
	e.ret()
	return name
}

func (e *emitter) widen() string {
	return e.cast("widen", 2, 4, "VPMOVZXWD", "VMOVDQU32", func() { e.op("VPSLLD $16, Z0, Z1") })
}

// narrowed emits the rounding of AVX512-BF16.
func (e *emitter) narrowed() string {
	return e.cast("narrow", 4, 2, "VMOVDQU32", "VPMOVDW", func() {
		e.narrow(0, 1)
		e.op("VPMOVZXWD Y1, Z1")
	})
}

// round emits what number.Narrow computes, denormals and NaN included:
// (x + 0x7fff + bit 16 of x) >> 16, or x>>16 | 0x40 of NaN.
func (e *emitter) round() string {
	return e.cast("round", 4, 2, "VMOVDQU32", "VPMOVDW", func() {
		e.op("VPSRLD $16, Z0, Z2")
		e.op("VPANDD Z4, Z2, Z1")
		e.op("VPADDD Z0, Z1, Z1")
		e.op("VPADDD Z5, Z1, Z1")
		e.op("VPSRLD $16, Z1, Z1")
		e.op("VCMPPS $3, Z0, Z0, K2")
		e.op("VPORD Z6, Z2, K2, Z1")
	})
}

// peakBF16 emits rounds of independent dot products.
func (e *emitter) peakBF16() string {
	name := "peakBF16" + e.name
	e.function(name, "rounds int", 8)
	e.op("MOVQ rounds+0(FP), CX")
	for i := range peakRegisters + 2 {
		e.zero(e.vec(i))
	}
	e.op("PCALIGN $32")
	e.label("round")
	for range 4 {
		for i := range peakRegisters {
			e.dot(peakRegisters, peakRegisters+1, i)
		}
	}
	e.op("DECQ CX")
	e.op("JNZ round")
	e.ret()
	return name
}

// bf16Kernels is the file of these kernels.
func bf16Kernels(s set, declare func(name, signature string)) string {
	e := &emitter{set: s, bf16: true}
	e.WriteString(mark + "#include \"textflag.h\"\n\n")
	e.numberTable()
	for _, k := range normKernels() {
		if strings.Contains(k.inBF16, "d") {
			declare(e.vector(k), "a *vectorArgs")
		}
	}
	for vecs := 1; vecs <= s.wide; vecs++ {
		declare(e.tileBF16(vecs), "t *TileBF16")
		declare(e.tileTBF16(vecs), "t *TileTBF16")
	}
	declare(e.peakBF16(), "rounds int")
	declare(e.pairs(false), "a *pairArgs")
	declare(e.pairs(true), "a *pairArgs")
	declare(e.addresses(), "a *addressArgs")
	e.squareTables()
	for _, k := range fedTransforms {
		declare(e.squares(k), "a *bf16TransformArgs")
	}
	for _, k := range repeatedTransforms {
		declare(e.repeated(k), "a *bf16TransformArgs")
	}
	for _, k := range linearTransforms {
		declare(e.linear(k), "a *bf16TransformArgs")
	}
	for _, k := range pairTransforms {
		declare(e.winogradPairs(k), "a *pairTransformArgs")
	}
	declare(e.widen(), "a *castArgs")
	declare(e.round(), "a *castArgs")
	declare(e.narrowed(), "a *castArgs")
	return e.String()
}

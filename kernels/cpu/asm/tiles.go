package main

import "fmt"

const tileRows = 6

// tile emits the product of six rows found by address with panels of vecs vectors.
// Registers: AX arguments, SI row addresses, DX panel addresses, CX taps left,
// BX panel, DI its pitch, R8-R13 ends of the rows, R14 minus the bytes left of each.
func (e *emitter) tile(vecs int) string {
	name := fmt.Sprintf("tile%s_%d", e.name, vecs*e.lanes)
	e.function(name, "t *Tile", 8)
	acc, b, bc := e.tileRegisters(vecs)
	e.op("MOVQ t+0(FP), AX")
	e.op("MOVQ 0(AX), SI")
	e.op("MOVQ 8(AX), DX")
	e.op("MOVQ 16(AX), CX")
	e.op("MOVQ 32(AX), DI")
	for i := range tileRows * vecs {
		e.zero(e.vec(i))
	}
	e.op("TESTQ CX, CX")
	e.op("JZ done")
	e.label("tap")
	e.op("MOVQ (DX), BX")
	e.op("ADDQ $8, DX")
	e.op("MOVQ 24(AX), R14")
	e.op("SHLQ $2, R14")
	for i := range tileRows {
		e.op("MOVQ %d(SI), R%d", 8*i, 8+i)
		e.op("ADDQ R14, R%d", 8+i)
	}
	e.op("ADDQ $%d, SI", 8*tileRows)
	e.op("NEGQ R14")
	e.op("PCALIGN $32")
	e.label("depth")
	for j := range vecs {
		e.op("VMOVUPS %d(BX), %s", 4*e.lanes*j, b(j))
	}
	e.op("ADDQ DI, BX")
	for i := range tileRows {
		e.op("VBROADCASTSS (R%d)(R14*1), %s", 8+i, bc(i))
		for j := range vecs {
			e.op("VFMADD231PS %s, %s, %s", b(j), bc(i), acc(i, j))
		}
	}
	e.op("ADDQ $4, R14")
	e.op("JNZ depth")
	e.op("DECQ CX")
	e.op("JNZ tap")
	e.label("done")
	e.op("MOVQ 40(AX), DI // C")
	e.op("MOVQ 48(AX), R8 // CPitch")
	e.op("MOVQ 56(AX), CX // Rows")
	e.op("CMPQ 72(AX), $0")
	e.op("JNE accumulate")
	e.op("MOVQ 80(AX), BX // Bias")
	e.op("TESTQ BX, BX")
	e.op("JZ add")
	for j := range vecs {
		e.op("VMOVUPS %d(BX), %s", 4*e.lanes*j, b(j))
	}
	for i := range tileRows {
		for j := range vecs {
			e.op("VADDPS %s, %s, %s", b(j), acc(i, j), acc(i, j))
		}
	}
	e.label("add")
	e.op("MOVQ 88(AX), SI // Add")
	e.op("MOVQ 96(AX), DX // AddPitch")
	e.op("TESTQ SI, SI")
	e.op("JZ store")
	e.rows(func(i int) {
		for j := range vecs {
			e.op("VADDPS %d(SI), %s, %s", 4*e.lanes*j, acc(i, j), acc(i, j))
			e.op("VMOVUPS %s, %d(DI)", acc(i, j), 4*e.lanes*j)
		}
		e.op("ADDQ DX, SI")
	})
	e.label("store")
	e.rows(func(i int) {
		for j := range vecs {
			e.op("VMOVUPS %s, %d(DI)", acc(i, j), 4*e.lanes*j)
		}
	})
	e.label("accumulate")
	e.rows(func(i int) {
		for j := range vecs {
			e.op("VADDPS %d(DI), %s, %s", 4*e.lanes*j, acc(i, j), acc(i, j))
			e.op("VMOVUPS %s, %d(DI)", acc(i, j), 4*e.lanes*j)
		}
	})
	e.label("end")
	e.ret()
	return name
}

// rows emits what is done to each row of the result that exists, and the return.
func (e *emitter) rows(row func(i int)) {
	for i := range tileRows {
		row(i)
		if i == tileRows-1 {
			break
		}
		e.op("ADDQ R8, DI")
		e.op("DECQ CX")
		e.op("JZ end")
	}
	e.ret()
}

// tileRegisters names the accumulators of row i and vector j, the vectors of B,
// and the broadcast element of row i.
func (e *emitter) tileRegisters(vecs int) (acc func(i, j int) string, b, broadcast func(i int) string) {
	acc = func(i, j int) string { return e.vec(i*vecs + j) }
	b = func(j int) string { return e.vec(tileRows*vecs + j) }
	first := (tileRows + 1) * vecs
	spare := min(e.regs-first, 2)
	return acc, b, func(i int) string { return e.vec(first + i%spare) }
}

// tileT emits the weight gradient: six consecutive floats of each row against a row of vectors.
// Registers: SI row addresses, CX rows left, DX offset, BX row of B, DI its pitch.
func (e *emitter) tileT(vecs int) string {
	name := fmt.Sprintf("tileT%s_%d", e.name, vecs*e.lanes)
	e.function(name, "t *TileT", 8)
	acc, b, bc := e.tileRegisters(vecs)
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
	e.op("MOVQ (SI), R8")
	e.op("ADDQ $8, SI")
	for j := range vecs {
		e.op("VMOVUPS %d(BX), %s", 4*e.lanes*j, b(j))
	}
	e.op("ADDQ DI, BX")
	for i := range tileRows {
		e.op("VBROADCASTSS %d(R8)(DX*1), %s", 4*i, bc(i))
		for j := range vecs {
			e.op("VFMADD231PS %s, %s, %s", b(j), bc(i), acc(i, j))
		}
	}
	e.op("DECQ CX")
	e.op("JNZ depth")
	e.storeOrAccumulate(vecs)
	return name
}

// storeOrAccumulate emits the end of a weight gradient: C = the sums, or C += them.
func (e *emitter) storeOrAccumulate(vecs int) {
	acc, _, _ := e.tileRegisters(vecs)
	e.op("MOVQ 40(AX), DI // C")
	e.op("MOVQ 48(AX), R8 // CPitch")
	e.op("MOVQ 56(AX), CX // Rows")
	e.op("CMPQ 72(AX), $0")
	e.op("JNE accumulate")
	e.rows(func(i int) {
		for j := range vecs {
			e.op("VMOVUPS %s, %d(DI)", acc(i, j), 4*e.lanes*j)
		}
	})
	e.label("accumulate")
	e.rows(func(i int) {
		for j := range vecs {
			e.op("VADDPS %d(DI), %s, %s", 4*e.lanes*j, acc(i, j), acc(i, j))
			e.op("VMOVUPS %s, %d(DI)", acc(i, j), 4*e.lanes*j)
		}
	})
	e.label("end")
	e.ret()
}

// peak emits rounds of independent fused multiply-adds.
func (e *emitter) peak() string {
	name := "peak" + e.name
	e.function(name, "rounds int", 8)
	e.op("MOVQ rounds+0(FP), CX")
	for i := range peakRegisters + 2 {
		e.zero(e.vec(i))
	}
	e.op("PCALIGN $32")
	e.label("round")
	for range 4 {
		for i := range peakRegisters {
			e.op("VFMADD231PS %s, %s, %s", e.vec(peakRegisters), e.vec(peakRegisters+1), e.vec(i))
		}
	}
	e.op("DECQ CX")
	e.op("JNZ round")
	e.ret()
	return name
}

const peakRegisters = 12

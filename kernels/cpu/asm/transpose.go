package main

// transpose emits the transposition of as many rows of 32-bit words as a vector has
// lanes, found by address, with zeros in the place of those that do not exist.
// Registers: AX arguments, R12 addresses of rows, DI row of the result, DX its pitch,
// CX whole squares left, R13 bytes into the rows.
func (e *emitter) transpose() string {
	name := "transpose" + e.name
	e.function(name, "a *transposeArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ 0(AX), DI")
	e.op("MOVQ 8(AX), DX")
	e.op("MOVQ 16(AX), CX")
	e.op("LEAQ 48(AX), R12")
	if e.reg == "Z" {
		e.op("MOVQ 32(AX), R8")
		e.op("KMOVW (R8), K1")
		e.op("MOVQ 40(AX), R8")
		e.op("KMOVW (R8), K2")
	}
	e.op("XORQ R13, R13")
	e.op("TESTQ CX, CX")
	e.op("JZ tail")
	e.label("square")
	e.square(false)
	for i := range e.lanes {
		e.op("VMOVUPS %s, (DI)", e.vec(i))
		e.op("ADDQ DX, DI")
	}
	e.op("ADDQ $%d, R13", 4*e.lanes)
	e.op("DECQ CX")
	e.op("JNZ square")
	e.label("tail")
	e.op("MOVQ 24(AX), CX")
	e.op("TESTQ CX, CX")
	e.op("JZ end")
	e.square(true)
	for i := range e.lanes - 1 {
		e.op("VMOVUPS %s, (DI)", e.vec(i))
		e.op("ADDQ DX, DI")
		e.op("DECQ CX")
		e.op("JZ end")
	}
	e.label("end")
	e.ret()
	return name
}

// square emits the loading of a square and its transposition in registers, for
// AVX2 by words of two rows, of four, and by halves of vectors. Where columns are missing, they are not read.
func (e *emitter) square(masked bool) {
	n := e.lanes
	if e.reg == "Y" && masked {
		e.op("MOVQ 32(AX), R8")
		e.op("VMOVUPS 64(R8), %s", e.vec(n))
	}
	for i := range n {
		row := 8 + i%4
		e.op("MOVQ %d(R12), R%d", 8*i, row)
		switch {
		case !masked:
			e.op("VMOVUPS (R%d)(R13*1), %s", row, e.vec(i))
		case e.reg == "Z":
			e.op("VMOVUPS.Z (R%d)(R13*1), K1, %s", row, e.vec(i))
		default:
			e.op("VMASKMOVPS (R%d)(R13*1), %s, %s", row, e.vec(n), e.vec(i))
		}
	}
	if e.reg == "Z" {
		e.turnSquare()
		for i := range n {
			e.op("VMOVAPS.Z %s, K2, %s", e.vec(i), e.vec(i))
		}
		return
	}
	for i := 0; i < n; i += 2 {
		e.op("VUNPCKLPS %s, %s, %s", e.vec(i+1), e.vec(i), e.vec(n+i))
		e.op("VUNPCKHPS %s, %s, %s", e.vec(i+1), e.vec(i), e.vec(n+i+1))
	}
	for i := 0; i < n; i += 4 {
		for half := range 2 {
			e.op("VUNPCKLPD %s, %s, %s", e.vec(n+i+2+half), e.vec(n+i+half), e.vec(i+2*half))
			e.op("VUNPCKHPD %s, %s, %s", e.vec(n+i+2+half), e.vec(n+i+half), e.vec(i+2*half+1))
		}
	}
	// Vector c of four rows has columns c and 4+c.
	for c := range 4 {
		e.op("VPERM2F128 $0x20, %s, %s, %s", e.vec(4+c), e.vec(c), e.vec(n+c))
		e.op("VPERM2F128 $0x31, %s, %s, %s", e.vec(4+c), e.vec(c), e.vec(n+4+c))
	}
	e.op("MOVQ 40(AX), R8")
	e.op("VMOVUPS 64(R8), %s", e.vec(0))
	for i := n - 1; i > 0; i-- {
		e.op("VANDPS %s, %s, %s", e.vec(0), e.vec(n+i), e.vec(i))
	}
	e.op("VANDPS %s, %s, %s", e.vec(0), e.vec(n), e.vec(0))
}

// turnSquare emits the transposition of 16×16 words in vectors 0 to 15; it uses all.
func (e *emitter) turnSquare() {
	for i := 0; i < 16; i += 2 { // words of two rows in turn
		e.op("VUNPCKLPS Z%d, Z%d, Z%d", i+1, i, 16+i)
		e.op("VUNPCKHPS Z%d, Z%d, Z%d", i+1, i, 17+i)
	}
	for i := 0; i < 16; i += 4 { // and of four
		for half := range 2 {
			e.op("VUNPCKLPD Z%d, Z%d, Z%d", 18+i+half, 16+i+half, i+2*half)
			e.op("VUNPCKHPD Z%d, Z%d, Z%d", 18+i+half, 16+i+half, i+2*half+1)
		}
	}
	for i := 0; i < 16; i += 8 { // quarters of rows: of eight rows, and of all
		for j := range 4 {
			e.op("VSHUFF32X4 $0x88, Z%d, Z%d, Z%d", i+j+4, i+j, 16+i+j)
			e.op("VSHUFF32X4 $0xdd, Z%d, Z%d, Z%d", i+j+4, i+j, 20+i+j)
		}
	}
	for j := range 8 {
		e.op("VSHUFF32X4 $0x88, Z%d, Z%d, Z%d", 24+j, 16+j, j)
		e.op("VSHUFF32X4 $0xdd, Z%d, Z%d, Z%d", 24+j, 16+j, 8+j)
	}
}

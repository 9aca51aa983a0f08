package main

import "fmt"

// gram emits the products of four rows with three others in float64, in lanes of four:
// see Gram. AVX-512 has no use for wider vectors, whose lanes would be others.
// Registers: AX arguments, R8 to R11 rows of X, SI, DI, DX those of Y, CX bytes of a row,
// R13 bytes into it.
func (e *emitter) gram() string {
	const name = "gramAVX2"
	rows, others := []string{"R8", "R9", "R10", "R11"}, []string{"SI", "DI", "DX"}
	sum := func(i, j int) string { return fmt.Sprintf("Y%d", 4+len(others)*i+j) }
	e.function(name, "a *Gram", 8)
	e.op("MOVQ a+0(FP), AX")
	for i, r := range append(rows, others...) {
		e.op("MOVQ %d(AX), %s", 8*i, r)
	}
	e.op("MOVQ 56(AX), CX")
	e.op("SHLQ $2, CX")
	for i := range rows {
		for j := range others {
			e.zero(sum(i, j))
		}
	}
	e.op("XORQ R13, R13")
	e.label("values")
	e.op("CMPQ R13, CX")
	e.op("JGE end")
	for j, r := range others {
		e.op("VCVTPS2PD (%s)(R13*1), Y%d", r, j)
	}
	for i, r := range rows {
		e.op("VCVTPS2PD (%s)(R13*1), Y3", r)
		for j := range others {
			e.op("VFMADD231PD Y%d, Y3, %s", j, sum(i, j))
		}
	}
	e.op("ADDQ $16, R13")
	e.op("JMP values")
	e.label("end")
	for i := range rows {
		for j := range others {
			e.op("VMOVUPD %s, %d(AX)", sum(i, j), 64+32*(len(others)*i+j))
		}
	}
	e.ret()
	return name
}

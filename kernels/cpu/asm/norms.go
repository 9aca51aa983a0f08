package main

import (
	"fmt"
	"strings"
)

// Kernels of normalisation, in float32 and for rows of bfloat16.

// normKernels lists them. Sums and vectors of columns are float32 throughout,
// and so is du, a gradient that one kernel leaves for another.
func normKernels() []vectorKernel {
	var list []vectorKernel
	add := func(k vectorKernel, bf16 string) {
		list = append(list, k)
		k.name, k.inBF16 = k.name+"BF16", bf16
		list = append(list, k)
	}
	add(vectorKernel{name: "colSum", x: true, columnSums: 1, body: func(e *body) { e.op("VADDPS %s, %s, %s", e.x(), e.vec(sum1), e.vec(sum1)) }}, "x")
	add(vectorKernel{name: "colSumSquares", x: true, columns: 1, columnSums: 1, body: func(e *body) {
		e.op("VSUBPS %s, %s, %s", e.col(0), e.x(), e.x())
		e.op("VFMADD231PS %s, %s, %s", e.x(), e.x(), e.vec(sum1))
	}}, "x")
	add(vectorKernel{name: "affine", x: true, columns: 2, store: true, body: func(e *body) { e.op("VFMADD213PS %s, %s, %s", e.col(1), e.col(0), e.x()) }}, "dx")
	add(vectorKernel{name: "affineSiLU", x: true, columns: 2, store: true, body: func(e *body) {
		e.op("VFMADD213PS %s, %s, %s", e.col(1), e.col(0), e.x())
		e.sigmoid(vecX, temp)
		e.op("VMULPS %s, %s, %s", e.vec(temp), e.x(), e.x())
	}}, "dx")
	add(vectorKernel{name: "gradSums", x: true, y: true, columnSums: 2, body: (*body).gradSums}, "xy")
	add(vectorKernel{name: "siluGradSums", x: true, y: true, columns: 2, columnSums: 2, body: func(e *body) {
		e.siluGrad()
		e.gradSums()
	}}, "xy")
	add(vectorKernel{name: "siluGradSumsKeep", x: true, y: true, columns: 2, columnSums: 2, store: true, body: func(e *body) {
		e.siluGrad()
		e.gradSums()
		e.op("VMOVAPS %s, %s", e.y(), e.x())
	}}, "xy")
	gradients := func(name string, k vectorKernel, bf16 string) {
		k.x, k.y, k.store = true, true, true
		without := k.body
		k.name = name
		add(k, bf16)
		k.name, k.add, k.body = name+"Add", true, func(e *body) {
			without(e)
			e.plusAdd()
		}
		add(k, bf16+"a")
	}
	gradients("gradAffine", vectorKernel{columns: 3, body: func(e *body) { e.gradAffine(0) }}, "dxy")
	kept := list[len(list)-4:] // the same of du
	for _, k := range []vectorKernel{kept[1], kept[3]} {
		k.name, k.inBF16 = k.name+"Kept", strings.Replace(k.inBF16, "y", "", 1)
		list = append(list, k)
	}
	gradients("siluGradAffine", vectorKernel{columns: 5, body: func(e *body) {
		e.siluGrad()
		e.gradAffine(2)
	}}, "dxy")
	return list
}

// siluGrad turns y from dy into du = dy·σ(u)·(1 + u·(1−σ(u))), u = a·x + b.
func (e *body) siluGrad() {
	u, s, t := temp+4, temp, temp+1
	e.op("VMOVUPS %s, %s", e.x(), e.vec(u))
	e.op("VFMADD213PS %s, %s, %s", e.col(1), e.col(0), e.vec(u))
	e.sigmoid(u, s)
	e.op("VSUBPS %s, %s, %s", e.vec(s), e.register(1, t), e.vec(t))
	e.op("VFMADD213PS %s, %s, %s", e.number(1), e.vec(u), e.vec(t))
	e.op("VMULPS %s, %s, %s", e.vec(s), e.vec(t), e.vec(t))
	e.op("VMULPS %s, %s, %s", e.vec(t), e.y(), e.y())
}

func (e *body) gradSums() {
	e.op("VADDPS %s, %s, %s", e.y(), e.vec(sum1), e.vec(sum1))
	e.op("VFMADD231PS %s, %s, %s", e.x(), e.y(), e.vec(sum2))
}

// gradAffine makes x = p·du + q·x + r, of columns from p on.
func (e *body) gradAffine(p int) {
	e.op("VFMADD213PS %s, %s, %s", e.col(p+2), e.col(p+1), e.x())
	e.op("VFMADD231PS %s, %s, %s", e.y(), e.col(p), e.x())
}

func (e *body) plusAdd() {
	e.operand("a", "CX", temp)
	e.op("VADDPS %s, %s, %s", e.vec(temp), e.x(), e.x())
}

// loadBF16 widens a vector of bfloat16. AVX2, which has no masks for 16 bits,
// reads a whole vector even behind the end of the row.
func (e *body) loadBF16(from string, to int) {
	if e.masked && e.reg == "Z" {
		e.op("VPMOVZXWD.Z %s, K1, %s", from, e.vec(to))
	} else {
		e.op("VPMOVZXWD %s, %s", from, e.vec(to))
	}
	e.op("VPSLLD $16, %s, %s", e.vec(to), e.vec(to))
}

// storeBF16 rounds a vector as number.Narrow does, denormals and NaN included:
// (x + 0x7fff + bit 16 of x) >> 16, or x>>16 | 0x40 of NaN. AVX512-BF16 does so in
// one instruction, but for denormals, which become zero.
func (e *body) storeBF16(from int, to string) {
	if e.bf16 {
		e.narrow(from, temp)
		if e.masked {
			e.op("VMOVDQU16 Y%d, K1, %s", temp, to)
		} else {
			e.op("VMOVDQU Y%d, %s", temp, to)
		}
		return
	}
	x, upper, rounded, nan := e.vec(from), e.vec(temp), e.vec(temp+1), e.vec(temp+2)
	e.op("VPSRLD $16, %s, %s", x, upper)
	if e.reg == "Z" {
		e.op("VPANDD %s, %s, %s", e.integer(1), upper, rounded)
	} else {
		e.op("VPAND %s, %s, %s", e.integer(1), upper, rounded)
	}
	e.op("VPADDD %s, %s, %s", x, rounded, rounded)
	e.op("VPADDD %s, %s, %s", e.integer(0x7fff), rounded, rounded)
	e.op("VPSRLD $16, %s, %s", rounded, rounded)
	if e.reg == "Z" {
		e.op("VCMPPS $3, %s, %s, K2", x, x)
		e.op("VPORD %s, %s, K2, %s", e.integer(0x40), upper, rounded)
		if e.masked {
			e.op("VPMOVDW %s, K1, %s", rounded, to)
		} else {
			e.op("VPMOVDW %s, %s", rounded, to)
		}
		return
	}
	e.op("VCMPPS $3, %s, %s, %s", x, x, nan)
	e.op("VPOR %s, %s, %s", e.integer(0x40), upper, upper)
	e.op("VBLENDVPS %s, %s, %s, %s", nan, upper, rounded, rounded)
	e.op("VPACKUSDW %s, %s, %s", rounded, rounded, rounded)
	e.op("VPERMQ $8, %s, %s", rounded, rounded)
	low := strings.Replace(rounded, "Y", "X", 1)
	if !e.masked {
		e.op("VMOVDQU %s, %s", low, to)
		return
	}
	for _, part := range []struct {
		n    int
		move string
	}{{4, "VMOVQ"}, {2, "VMOVD"}, {1, "VPEXTRW $0,"}} {
		skip := fmt.Sprintf("without%d", part.n)
		e.op("TESTB $%d, %d(AX)", part.n, argTail)
		e.op("JZ %s", skip)
		e.op("%s %s, %s", part.move, low, to)
		e.op("VPSRLDQ $%d, %s, %s", 2*part.n, low, low)
		e.op("ADDQ $%d, R13", 2*part.n)
		e.label(skip)
	}
}

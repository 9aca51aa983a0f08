package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Registers of vector kernels. AX arguments, R9 their table of constants; DI, SI,
// DX, CX the rows of dst, x, y and add; R8, R10-R12, BX vectors of columns a, b, p,
// q, r; R13 bytes into the row, R14 where whole vectors end, R15 rows left. Where
// an operand is bfloat16, R13 and R14 count its bytes, and float32 goes on twice as fast.
const (
	vecX, vecY = 0, 1
	temp       = 2 // to 7
	column     = 8 // to 12: a, b, p, q, r
	sum1, sum2 = 13, 14
	maskVec    = 15 // AVX2
	firstHeld  = 16 // AVX-512: numbers
)

// Offsets in vectorArgs.
const (
	argDst, argX, argY, argAdd                     = 0, 8, 16, 24
	argDstPitch, argXPitch, argYPitch, argAddPitch = 32, 40, 48, 56
	argRows, argFull, argTail, argMask             = 64, 72, 80, 88
	argColumns                                     = 96 // five pointers
	argSum1, argSum2, argConstants                 = 136, 144, 152
)

var (
	columnRegs = []string{"R8", "R10", "R11", "R12", "BX"}
	sumRegs    = columnRegs[3:] // of kernels with fewer columns
)

// vectorKernel is one kernel over a matrix.
type vectorKernel struct {
	name    string
	x, y    bool // operands beside dst
	add     bool
	columns int
	scalars int // numbers for each row, in the place of columns
	// A kernel writes dst element by element, or adds to sums (or maxima) of columns
	// (1 or 2), or to one sum over everything.
	columnSums int
	total      bool
	store      bool
	inBF16     string // which of dst, x, y and add are bfloat16: letters of "dxya"
	body       func(e *body)
}

// body emits the arithmetic on one vector.
type body struct {
	*emitter
	vectorKernel
	masked bool
}

var vectorKernels = append([]vectorKernel{
	{name: "add", x: true, y: true, store: true, body: func(e *body) { e.op("VADDPS %s, %s, %s", e.y(), e.x(), e.x()) }},
	{name: "copy", x: true, store: true, body: func(*body) {}},
	{name: "scaleRows", x: true, scalars: 1, store: true, body: func(e *body) { e.op("VMULPS %s, %s, %s", e.col(0), e.x(), e.x()) }},
	{name: "scale", x: true, store: true, body: func(e *body) { e.op("VMULPS %s, %s, %s", e.constant(0), e.x(), e.x()) }},
	{name: "clip", x: true, store: true, body: (*body).clip},
	{name: "larger", x: true, y: true, store: true, body: (*body).larger},
	{name: "colMax", x: true, columnSums: 1, body: func(e *body) { e.op("VMAXPS %s, %s, %s", e.x(), e.vec(sum1), e.vec(sum1)) }},
	{name: "expColumns", x: true, columns: 1, store: true, body: (*body).shiftedExp},
	{name: "expRows", x: true, scalars: 2, store: true, body: func(e *body) {
		e.shiftedExp()
		e.op("VMULPS %s, %s, %s", e.col(1), e.x(), e.x())
	}},
	{name: "softmaxGradColumns", x: true, y: true, columns: 2, store: true, body: func(e *body) {
		e.softmaxGrad()
		e.op("VMULPS %s, %s, %s", e.col(1), e.x(), e.x())
	}},
	{name: "softmaxGradRows", x: true, y: true, scalars: 1, store: true, body: func(e *body) {
		e.softmaxGrad()
		e.op("VMULPS %s, %s, %s", e.constant(0), e.x(), e.x())
	}},
	{name: "dot", x: true, y: true, total: true, body: func(e *body) { e.op("VFMADD231PS %s, %s, %s", e.x(), e.y(), e.vec(sum1)) }},
	{name: "adamW", x: true, y: true, add: true, store: true, body: (*body).adamW},
	{name: "adamWEMA", x: true, y: true, add: true, store: true, body: func(e *body) {
		e.adamW()
		e.load("(R8)(R13*1)", temp)
		e.op("VSUBPS %s, %s, %s", e.vec(temp), e.x(), e.vec(temp+1))
		e.op("VMOVUPS %s, %s", e.constant(9), e.vec(temp+2))
		e.op("VFMADD231PS %s, %s, %s", e.vec(temp+2), e.vec(temp+1), e.vec(temp))
		e.store(temp, "(R8)(R13*1)")
	}},
}, normKernels()...)

func (e *body) x() string             { return e.vec(vecX) }
func (e *body) y() string             { return e.vec(vecY) }
func (e *body) col(i int) string      { return e.vec(column + i) }
func (e *body) constant(i int) string { return fmt.Sprintf("%d(R9)", 64*i) }

// of is the memory of a row of float32 that begins at a register.
func (e *body) of(reg string) string {
	if e.inBF16 != "" {
		return "(" + reg + ")(R13*2)"
	}
	return "(" + reg + ")(R13*1)"
}

// operand loads a vector of an operand, named as in vectorKernel.inBF16, into a register.
func (e *body) operand(name, reg string, to int) {
	if strings.Contains(e.inBF16, name) {
		e.loadBF16("("+reg+")(R13*1)", to)
	} else {
		e.load(e.of(reg), to)
	}
}

// load and store move a vector, or as much of it as the row still has.
func (e *body) load(from string, to int) {
	switch {
	case !e.masked:
		e.op("VMOVUPS %s, %s", from, e.vec(to))
	case e.reg == "Z":
		e.op("VMOVUPS.Z %s, K1, %s", from, e.vec(to))
	default:
		e.op("VMASKMOVPS %s, %s, %s", from, e.vec(maskVec), e.vec(to))
	}
}

func (e *body) store(from int, to string) {
	switch {
	case !e.masked:
		e.op("VMOVUPS %s, %s", e.vec(from), to)
	case e.reg == "Z":
		e.op("VMOVUPS %s, K1, %s", e.vec(from), to)
	default:
		e.op("VMASKMOVPS %s, %s, %s", e.vec(from), e.vec(maskVec), to)
	}
}

// clip makes x = min(max(x, 0), limit). Of a NaN and a number, the processor returns what
// stands first here.
func (e *body) clip() {
	e.op("VMOVUPS %s, %s", e.constant(0), e.vec(temp))
	e.op("VMOVUPS %s, %s", e.constant(1), e.vec(temp+1))
	e.op("VMAXPS %s, %s, %s", e.x(), e.vec(temp), e.x())
	e.op("VMINPS %s, %s, %s", e.x(), e.vec(temp+1), e.x())
}

// larger makes x the larger of x and y, or NaN if one is: the bits of both answers, which
// are the same number, or one of them NaN.
func (e *body) larger() {
	or := "VORPS"
	if e.reg == "Z" {
		or = "VPORD"
	}
	e.op("VMAXPS %s, %s, %s", e.x(), e.y(), e.vec(temp))
	e.op("VMAXPS %s, %s, %s", e.y(), e.x(), e.vec(temp+1))
	e.op("%s %s, %s, %s", or, e.vec(temp), e.vec(temp+1), e.x())
}

// shiftedExp makes x = exp(scale·x − shift).
func (e *body) shiftedExp() {
	e.op("VMOVUPS %s, %s", e.constant(0), e.vec(temp))
	e.op("VFMSUB213PS %s, %s, %s", e.col(0), e.vec(temp), e.x())
	e.exp(vecX, temp)
}

// softmaxGrad makes x = p·(dp − dot) of x = p and y = dp.
func (e *body) softmaxGrad() {
	e.op("VSUBPS %s, %s, %s", e.col(0), e.y(), e.y())
	e.op("VMULPS %s, %s, %s", e.y(), e.x(), e.x())
}

// adamW: dst is p, x is g, y is m, add is v; constants are those of adamWConstants.
func (e *body) adamW() {
	p, v, t := temp, temp+1, temp+2
	g, m := vecX, vecY
	e.load("(DI)(R13*1)", p)
	e.load("(CX)(R13*1)", v)
	e.op("VMULPS %s, %s, %s", e.constant(0), e.vec(g), e.vec(g)) // GradScale
	e.op("VMULPS %s, %s, %s", e.constant(1), e.vec(m), e.vec(m)) // Beta1
	e.op("VMOVUPS %s, %s", e.constant(2), e.vec(t))              // 1-Beta1
	e.op("VFMADD231PS %s, %s, %s", e.vec(t), e.vec(g), e.vec(m))
	e.store(m, "(DX)(R13*1)")
	e.op("VMULPS %s, %s, %s", e.constant(3), e.vec(v), e.vec(v)) // Beta2
	e.op("VMULPS %s, %s, %s", e.constant(4), e.vec(g), e.vec(t)) // 1-Beta2
	e.op("VFMADD231PS %s, %s, %s", e.vec(t), e.vec(g), e.vec(v))
	e.store(v, "(CX)(R13*1)")
	e.op("VMULPS %s, %s, %s", e.constant(5), e.vec(v), e.vec(v)) // C2
	e.op("VSQRTPS %s, %s", e.vec(v), e.vec(v))
	e.op("VADDPS %s, %s, %s", e.constant(6), e.vec(v), e.vec(v)) // Eps
	e.op("VMULPS %s, %s, %s", e.constant(7), e.vec(m), e.vec(m)) // LR·C1
	e.op("VDIVPS %s, %s, %s", e.vec(v), e.vec(m), e.vec(m))
	e.op("VMULPS %s, %s, %s", e.constant(8), e.vec(p), e.vec(g)) // LR·WeightDecay
	e.op("VADDPS %s, %s, %s", e.vec(m), e.vec(g), e.vec(g))
	e.op("VSUBPS %s, %s, %s", e.vec(g), e.vec(p), e.x())
}

// Numbers that kernels need as whole vectors, in a table of the file, with
// integers behind them.
var (
	numbers = []float64{
		1, 1.44269504088896341, -1.44269504088896341, 0.693359375, -2.12194440e-4,
		1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
		89, -105, .5, 128, -126,
		0.001867130072, 0.009017030316, 0.05579991311, 0.2401644502, 0.6931513118,
	}
	integers = []uint32{127, 1, 0x7fff, 0x40}
)

// number is one of them: where it lies in memory or, in a vector kernel of
// AVX-512, a register that holds it for the whole run.
func (e *emitter) number(x float64) string { return e.entry(slices.Index(numbers, x)) }

func (e *emitter) integer(n uint32) string { return e.entry(len(numbers) + slices.Index(integers, n)) }

func (e *emitter) entry(i int) string {
	if e.held == nil {
		return fmt.Sprintf("numbers%s<>+%d(SB)", e.name, 64*i)
	}
	if !slices.Contains(*e.held, i) {
		*e.held = append(*e.held, i)
	}
	return e.vec(firstHeld + slices.Index(*e.held, i))
}

// register is a number in a register: its own, or the one given.
func (e *body) register(x float64, spare int) string {
	if e.held != nil {
		return e.number(x)
	}
	e.op("VMOVUPS %s, %s", e.number(x), e.vec(spare))
	return e.vec(spare)
}

func (e *emitter) numberTable() {
	words := slices.Clone(integers)
	for i, n := range numbers {
		words = slices.Insert(words, i, math.Float32bits(float32(n)))
	}
	for i, w := range words {
		for lane := range 16 {
			fmt.Fprintf(e, "DATA numbers%s<>+%d(SB)/4, $0x%08x\n", e.name, 64*i+4*lane, w)
		}
	}
	fmt.Fprintf(e, "GLOBL numbers%s<>(SB), RODATA|NOPTR, $%d\n", e.name, 64*len(words))
}

// exp replaces vector v by its exponential: Cephes' expf, a polynomial on
// [−ln2/2, ln2/2] and scaling, so that results may overflow or go to zero. It uses
// three vectors from t on.
func (e *body) exp(v, t int) {
	x, n, p, k := e.vec(v), e.vec(t), e.vec(t+1), e.vec(t+2)
	e.op("VMINPS %s, %s, %s", x, e.register(89, t+1), x) // a NaN stays
	e.op("VMAXPS %s, %s, %s", x, e.register(-105, t+1), x)
	e.op("VMULPS %s, %s, %s", e.number(1.44269504088896341), x, k)
	if e.reg == "Z" {
		e.op("VRNDSCALEPS $8, %s, %s", k, k)
	} else {
		e.op("VCVTPS2DQ %s, %s", k, n)
		e.op("VCVTDQ2PS %s, %s", n, k)
	}
	e.op("VFNMADD231PS %s, %s, %s", e.number(0.693359375), k, x)
	e.op("VFNMADD231PS %s, %s, %s", e.number(-2.12194440e-4), k, x)
	e.op("VMOVUPS %s, %s", e.number(1.9875691500e-4), p)
	for _, c := range []float64{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		e.op("VFMADD213PS %s, %s, %s", e.number(c), x, p)
	}
	if e.reg == "Z" {
		e.op("VMULPS %s, %s, %s", x, x, n)
		e.op("VFMADD213PS %s, %s, %s", x, n, p)
		e.op("VADDPS %s, %s, %s", e.number(1), p, p)
		e.op("VSCALEFPS %s, %s, %s", k, p, x)
		return
	}
	e.op("VMULPS %s, %s, %s", x, x, k)
	e.op("VFMADD213PS %s, %s, %s", x, k, p)
	e.op("VADDPS %s, %s, %s", e.number(1), p, p)
	e.op("VPSRAD $1, %s, %s", n, k)
	e.op("VPSUBD %s, %s, %s", k, n, n)
	for _, half := range []string{k, n} { // 2ⁿ in two factors that are numbers
		e.op("VPADDD %s, %s, %s", e.integer(127), half, half)
		e.op("VPSLLD $23, %s, %s", half, half)
		e.op("VMULPS %s, %s, %s", half, p, p)
	}
	e.op("VMOVAPS %s, %s", p, x)
}

// sigmoid writes 1/(1+exp(−u)) of vector u to vector s, and uses two vectors
// behind s: of t = −u·log₂e, 2 to the fraction by a polynomial for [0, 1), with the
// least relative error (Remez), 8e-8, and a scaling by the whole part. That t is
// rounded makes exp(−u) worse the larger u is, but not its sum with 1.
func (e *body) sigmoid(u, s int) {
	coefficients := []float64{0.001867130072, 0.009017030316, 0.05579991311, 0.2401644502, 0.6931513118, 1}
	sigmoid, t, fraction := e.vec(s), e.vec(s+1), e.vec(s+2)
	e.op("VMULPS %s, %s, %s", e.number(-1.44269504088896341), e.vec(u), t)
	if e.reg == "Z" {
		e.op("VREDUCEPS $9, %s, %s", t, fraction) // t − ⌊t⌋, 0 of infinity
	} else {
		for _, limit := range []struct {
			op string
			at float64
		}{{"VMINPS", 128}, {"VMAXPS", -126}} { // infinity, nearly 0; a NaN stays
			e.op("VMOVUPS %s, %s", e.number(limit.at), sigmoid)
			e.op("%s %s, %s, %s", limit.op, t, sigmoid, t)
		}
		e.op("VROUNDPS $9, %s, %s", t, sigmoid)
		e.op("VSUBPS %s, %s, %s", sigmoid, t, fraction)
		e.op("VCVTPS2DQ %s, %s", sigmoid, t)
		e.op("VPADDD %s, %s, %s", e.integer(127), t, t)
		e.op("VPSLLD $23, %s, %s", t, t)
	}
	e.op("VMOVUPS %s, %s", e.number(coefficients[0]), sigmoid)
	for _, c := range coefficients[1:] {
		e.op("VFMADD213PS %s, %s, %s", e.number(c), fraction, sigmoid)
	}
	if e.reg == "Z" {
		e.op("VSCALEFPS %s, %s, %s", t, sigmoid, sigmoid) // · 2^⌊t⌋
	} else {
		e.op("VMULPS %s, %s, %s", t, sigmoid, sigmoid)
	}
	e.op("VADDPS %s, %s, %s", e.number(1), sigmoid, sigmoid)
	e.op("VDIVPS %s, %s, %s", sigmoid, e.register(1, s+1), sigmoid)
}

// vector emits a kernel and returns its name.
func (e *emitter) vector(k vectorKernel) string {
	name := k.name + e.name
	if e.bf16 {
		name += "BF16"
	}
	if e.reg == "Z" { // what numbers it needs is known once it is written
		e.held = &[]int{}
		defer func() { e.held = nil }()
		dry := &emitter{set: e.set, bf16: e.bf16, held: e.held}
		dry.overRows(k)
	}
	e.function(name, "a *vectorArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ %d(AX), R9", argConstants)
	e.op("MOVQ %d(AX), R14", argFull)
	for i := range max(k.columns, k.scalars, 1) { // AdamW's average is a column, too
		e.op("MOVQ %d(AX), %s", argColumns+8*i, columnRegs[i])
	}
	for i := range k.columnSums {
		e.op("MOVQ %d(AX), %s", argSum1+8*i, sumRegs[i])
	}
	if e.reg == "Z" {
		e.op("MOVQ %d(AX), R13", argMask)
		e.op("KMOVW (R13), K1")
	} else {
		e.op("MOVQ %d(AX), R13", argMask)
		e.op("VMOVUPS 64(R13), %s", e.vec(maskVec))
	}
	if held := e.held; held != nil {
		e.held = nil
		for i, n := range *held {
			e.op("VMOVUPS %s, %s", e.entry(n), e.vec(firstHeld+i))
		}
		e.held = held
	}
	e.overRows(k)
	return name
}

// stride is the bytes of an element by which R13 goes on.
func (k vectorKernel) stride() int {
	if k.inBF16 != "" {
		return 2
	}
	return 4
}

// operand is a row pointer and how it moves on.
type rowPointer struct {
	reg        string
	arg, pitch int
}

func (k vectorKernel) pointers() []rowPointer {
	list := []rowPointer{}
	if k.store {
		list = append(list, rowPointer{"DI", argDst, argDstPitch})
	}
	if k.x {
		list = append(list, rowPointer{"SI", argX, argXPitch})
	}
	if k.y {
		list = append(list, rowPointer{"DX", argY, argYPitch})
	}
	if k.add {
		list = append(list, rowPointer{"CX", argAdd, argAddPitch})
	}
	return list
}

func (e *emitter) loadPointers(k vectorKernel) {
	for _, p := range k.pointers() {
		e.op("MOVQ %d(AX), %s", p.arg, p.reg)
	}
}

func (e *emitter) nextRow(k vectorKernel) {
	for _, p := range k.pointers() {
		e.op("ADDQ %d(AX), %s", p.pitch, p.reg)
	}
}

func (e *body) loadColumns() {
	for i := range e.columns {
		e.load(e.of(columnRegs[i]), column+i)
	}
}

func (e *body) vectorStep() {
	if e.vectorKernel.x {
		e.operand("x", "SI", vecX)
	}
	if e.vectorKernel.y {
		e.operand("y", "DX", vecY)
	}
	for i, reg := range sumRegs[:e.columnSums] {
		e.load(e.of(reg), sum1+i)
	}
	e.vectorKernel.body(e)
	for i, reg := range sumRegs[:e.columnSums] {
		e.store(sum1+i, e.of(reg))
	}
	switch {
	case !e.vectorKernel.store:
	case strings.Contains(e.inBF16, "d"):
		e.storeBF16(vecX, "(DI)(R13*1)")
	default:
		e.store(vecX, e.of("DI"))
	}
}

// overRows goes through the matrix row by row.
func (e *emitter) overRows(k vectorKernel) {
	if k.total {
		e.zero(e.vec(sum1))
	}
	e.loadPointers(k)
	e.op("MOVQ %d(AX), R15", argRows)
	e.op("TESTQ R15, R15")
	e.op("JZ end")
	e.label("row")
	for i, reg := range columnRegs[:k.scalars] {
		e.op("VBROADCASTSS (%s), %s", reg, e.vec(column+i))
		e.op("ADDQ $4, %s", reg)
	}
	e.op("XORQ R13, R13")
	e.op("CMPQ R13, R14")
	e.op("JGE tail")
	e.op("PCALIGN $32")
	e.label("full")
	b := &body{emitter: e, vectorKernel: k}
	b.loadColumns()
	b.vectorStep()
	e.op("ADDQ $%d, R13", k.stride()*e.lanes)
	e.op("CMPQ R13, R14")
	e.op("JLT full")
	e.label("tail")
	e.op("CMPQ %d(AX), $0", argTail)
	e.op("JE next")
	b = &body{emitter: e, vectorKernel: k, masked: true}
	b.loadColumns()
	b.vectorStep()
	e.label("next")
	e.nextRow(k)
	e.op("DECQ R15")
	e.op("JNZ row")
	e.label("end")
	if k.total {
		e.op("MOVQ %d(AX), R13", argSum1)
		e.op("VMOVUPS %s, (R13)", e.vec(sum1))
	}
	e.ret()
}

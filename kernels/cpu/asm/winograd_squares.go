package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// fedTransform is a map of small squares along both axes, rounded with feedback to
// 4×4 of bfloat16: a step of Winograd's convolution F(2×2, 3×3). Package cpu says
// what feedback is, and calls the matrices by these names.
type fedTransform struct {
	name   string
	ends   [][]float64
	lower  [][]float64
	single bool // of float32, else of bfloat16
}

var roundingOrder = []int{1, 2, 0, 3}

var fedTransforms = []fedTransform{
	{
		name:  "squaresInput",
		ends:  [][]float64{{1, 0, 0, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 0, 0, -1}},
		lower: [][]float64{{1, .5, .5, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, -.5, .5, 1}},
	},
	{
		name:   "squaresWeights",
		ends:   [][]float64{{.5, 0, -.5}, {.5, .5, .5}, {1. / 3, -2. / 3, 1. / 3}, {-.5, 0, .5}},
		lower:  [][]float64{{1, -.5, -.5, 0}, {0, 1, 0, 0}, {0, -1. / 3, 1, 0}, {0, -.5, -.5, 1}},
		single: true,
	},
}

// Offsets in bf16TransformArgs.
const (
	bf16In, bf16Out, bf16Add                = 0, 8, 16
	bf16InPitch, bf16OutPitch, bf16AddPitch = 24, 32, 40
	bf16Count, bf16Full, bf16Tail           = 48, 56, 64
	bf16Mask, bf16Bias                      = 72, 80
)

// Vectors that fed transforms keep: the order of channels in memory, and
// 0xffff0000; numbers are below them. K1 is the mask of the last channels, K2 and K3
// its halves.
const interleaved, upperHalf, firstNumber = 31, 30, 29

// factors of whole numbers in products of ends.
var factors = []float64{.5, .25, .5 * (1. / 3), 1. / 3 * (1. / 3)}

// pair is two vectors of a place: of the even and of the odd ones of 32 channels, since
// bfloat16 is widened that way without a permutation; of float32 the first and
// the last 16.
type pair [2]int

// fed emits the arithmetic on 32 channels of a square.
type fed struct {
	*emitter
	fedTransform
	masked bool
	free   []int     // vectors
	held   []float64 // numbers in vectors
}

func (f *fed) take() pair {
	n := len(f.free) - 2
	p := pair((f.free)[n:])
	f.free = (f.free)[:n]
	return p
}

func (f *fed) give(pairs ...pair) {
	for _, p := range pairs {
		f.free = append(f.free, p[0], p[1])
	}
}

// each emits an instruction for both vectors of pairs, the destination last.
func (f *fed) each(instruction string, pairs ...pair) {
	for h := range 2 {
		var names []string
		for _, p := range pairs {
			names = append(names, f.vec(p[h]))
		}
		f.op("%s %s", instruction, strings.Join(names, ", "))
	}
}

// number is a register that holds one; factor is one in memory.
func (f *fed) number(x float64) pair {
	i := slices.Index(f.held, x)
	if i < 0 {
		i = len(f.held)
		f.held = append(f.held, x)
	}
	return pair{firstNumber - i, firstNumber - i}
}

func (f *fed) factor(x float64) string {
	return fmt.Sprintf("factors%s<>+%d(SB)", f.emitter.name, 4*slices.Index(factors, x))
}

// whole takes the factor out of a row of a matrix that leaves whole numbers, one of
// them 1; it is negative only where all of the row is.
func whole(row []float64) (factor float64, numbers []int) {
	for _, c := range row {
		if c != 0 && (factor == 0 || math.Abs(c) < math.Abs(factor) || c == -factor && c > 0) {
			factor = c
		}
	}
	for _, c := range row {
		numbers = append(numbers, int(math.Round(c/factor)))
	}
	return factor, numbers
}

// sum emits to = Σ numbers[n]·term(n).
func (f *fed) sum(numbers []int, term func(n int) pair, to pair) {
	first := slices.Index(numbers, 1)
	from := term(first)
	for n, c := range numbers {
		if n == first {
			continue
		}
		for range max(c, -c) {
			f.each(map[bool]string{true: "VADDPS", false: "VSUBPS"}[c > 0], term(n), from, to)
			from = to
		}
	}
	if from != to {
		f.each("VMOVAPS", from, to)
	}
}

// square transforms one: line by line, in the order of rounding.
func (f *fed) square() {
	var along [4][4]pair // what it is in package cpu, of the lines in the middle
	for _, i := range roundingOrder {
		lineFactor, numbers := whole(f.ends[i])
		line := f.line(numbers)
		var rounded [4]pair
		for at, j := range roundingOrder {
			factor, numbers := whole(f.ends[j])
			x := f.combined(line, numbers, roundingOrder[at+1:])
			factor *= lineFactor
			if size := math.Abs(factor); size != 1 {
				for h := range 2 {
					f.op("VMULPS.BCST %s, Z%d, Z%d", f.factor(size), x[h], x[h])
				}
			}
			negative := f.feed(-1, f.lower[i], i, func(k int) pair { return along[k][j] }, factor < 0, x)
			if f.feed(-1, f.lower[j], j, func(k int) pair { return rounded[k] }, negative, x) {
				panic("nothing to take it from")
			}
			inside, middle := i == 1 || i == 2, j == 1 || j == 2
			f.round(x, 4*i+j, inside || middle)
			rounded[j] = x
			switch {
			case inside && middle && f.lower[j][3-j] != 0:
				along[i][j] = f.take()
				f.each("VMOVAPS", x, along[i][j])
				f.feed(1, f.lower[j], j, func(k int) pair { return rounded[k] }, false, along[i][j])
			case inside:
				along[i][j] = x
				f.feed(1, f.lower[j], j, func(k int) pair { return rounded[k] }, false, x)
			case !middle:
				f.give(x)
			}
		}
		for _, j := range []int{1, 2} {
			if along[i][j] != rounded[j] {
				f.give(rounded[j])
			}
		}
	}
	for _, i := range []int{1, 2} {
		f.give(along[i][:]...)
	}
}

// combined emits a combination of what is in a line, in a pair of it that no later
// place needs, if there is one; others of this kind are given back.
func (f *fed) combined(line []pair, numbers []int, later []int) pair {
	var over []pair
	for n, c := range numbers {
		if c != 0 && !slices.ContainsFunc(later, func(j int) bool { return f.ends[j][n] != 0 }) {
			over = append(over, line[n])
		}
	}
	if len(over) == 0 {
		over = append(over, f.take())
	}
	x := over[0]
	if i := slices.Index(numbers, 1); slices.Contains(over, line[i]) {
		x = line[i] // where the sum begins
	} else if slices.Contains(line, x) {
		x = f.take()
		over = append(over, x)
	}
	f.sum(numbers, func(n int) pair { return line[n] }, x)
	for _, p := range over {
		if p != x {
			f.give(p)
		}
	}
	return x
}

// feed emits x = ±x + sign·Σ of what places rounded before feed back to place i along
// an axis, and says whether x is still to be taken negative.
func (f *fed) feed(sign float64, lower []float64, i int, term func(k int) pair, negative bool, x pair) bool {
	for k, c := range lower {
		if c == 0 || k == i {
			continue
		}
		instruction := "VF"
		if sign*c < 0 {
			instruction += "N"
		}
		instruction += map[bool]string{false: "MADD231PS", true: "MSUB231PS"}[negative]
		f.each(instruction, f.number(math.Abs(c)), term(k), x)
		negative = false
	}
	return negative
}

// line combines the lines of a square, place by place.
func (f *fed) line(numbers []int) (line []pair) {
	side := len(numbers)
	for j := range side {
		loaded := make([]pair, side)
		for n, c := range numbers {
			if c != 0 {
				loaded[n] = f.load(n*side + j)
			}
		}
		first := slices.Index(numbers, 1)
		f.sum(numbers, func(n int) pair { return loaded[n] }, loaded[first])
		for n, c := range numbers {
			if c != 0 && n != first {
				f.give(loaded[n])
			}
		}
		line = append(line, loaded[first])
	}
	return line
}

// load widens 32 channels of a place.
func (f *fed) load(place int) pair {
	p := f.take()
	f.op("MOVQ %d(SI), R8", 8*place)
	if f.single {
		for h := range 2 {
			if f.masked {
				f.op("VMOVUPS.Z %d(R8)(R13*2), K%d, Z%d", 64*h, 2+h, p[h])
			} else {
				f.op("VMOVUPS %d(R8)(R13*2), Z%d", 64*h, p[h])
			}
		}
		return p
	}
	if f.masked {
		f.op("VMOVDQU16.Z (R8)(R13*1), K1, Z%d", p[1])
	} else {
		f.op("VMOVDQU32 (R8)(R13*1), Z%d", p[1])
	}
	f.widen(p)
	return p
}

// widen takes apart what the second vector holds.
func (f *fed) widen(p pair) {
	if f.single {
		f.op("VPMOVZXWD Y%d, Z%d", p[1], p[0])
		f.op("VEXTRACTI64X4 $1, Z%d, Y%d", p[1], p[1])
		f.op("VPMOVZXWD Y%d, Z%d", p[1], p[1])
		f.each("VPSLLD $16,", p, p)
		return
	}
	f.op("VPSLLD $16, Z%d, Z%d", p[1], p[0])
	f.op("VPANDD Z%d, Z%d, Z%d", upperHalf, p[1], p[1])
}

// round stores 32 channels of a place and, if they are needed, leaves what was stored.
func (f *fed) round(p pair, place int, needed bool) {
	f.narrowTwo(p[0], p[1], p[1])
	if !f.single {
		f.op("VPERMW Z%d, Z%d, Z%d", p[1], interleaved, p[1])
	}
	f.op("MOVQ %d(DI), R8", 8*place)
	if f.masked {
		f.op("VMOVDQU16 Z%d, K1, (R8)(R12*1)", p[1])
	} else {
		f.op("VMOVDQU32 Z%d, (R8)(R12*1)", p[1])
	}
	if needed {
		f.widen(p)
	}
}

// squares emits a transform with feedback and returns its name. Registers: SI, DI
// tables of addresses; R10, R11 how far the square lies from them, R13, R12 with the
// channel, in bytes of bfloat16; BX vectors left, CX squares left; R8 a line.
func (e *emitter) squares(k fedTransform) string {
	name := k.name + e.name
	e.function(name, "a *bf16TransformArgs", 8)
	var free []int
	for i := range firstNumber - 1 {
		free = append(free, i)
	}
	f := &fed{emitter: &emitter{set: e.set}, fedTransform: k, free: free}
	f.square()
	full := f.String()
	f.Reset()
	f.masked = true
	f.square()
	tail := f.String()

	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ %d(AX), SI", bf16In)
	e.op("MOVQ %d(AX), DI", bf16Out)
	e.op("MOVQ %d(AX), CX", bf16Count)
	e.op("MOVQ %d(AX), R13", bf16Mask)
	e.op("MOVQ (R13), R8")
	e.op("KMOVD R8, K1")
	e.op("KMOVW R8, K2")
	e.op("SHRQ $16, R8")
	e.op("KMOVW R8, K3")
	e.op("VMOVDQU32 interleaved%s<>(SB), Z%d", e.name, interleaved)
	for i, bits := range append([]uint32{0xffff0000}, floatBits(f.held)...) {
		e.op("MOVL $%#08x, R8", bits)
		e.op("VPBROADCASTD R8, Z%d", upperHalf-i)
	}
	e.op("XORQ R10, R10")
	e.op("XORQ R11, R11")
	e.label("square")
	e.op("MOVQ R10, R13")
	e.op("MOVQ R11, R12")
	e.op("MOVQ %d(AX), BX", bf16Full)
	e.op("TESTQ BX, BX")
	e.op("JZ tail")
	e.op("PCALIGN $32")
	e.label("full")
	e.WriteString(full)
	e.op("ADDQ $64, R13")
	e.op("ADDQ $64, R12")
	e.op("DECQ BX")
	e.op("JNZ full")
	e.label("tail")
	e.op("CMPQ %d(AX), $0", bf16Tail)
	e.op("JE next")
	e.WriteString(tail)
	e.label("next")
	e.op("ADDQ %d(AX), R10", bf16InPitch)
	e.op("ADDQ %d(AX), R11", bf16OutPitch)
	e.op("DECQ CX")
	e.op("JNZ square")
	e.ret()
	return name
}

func floatBits(numbers []float64) (bits []uint32) {
	for _, x := range numbers {
		bits = append(bits, math.Float32bits(float32(x)))
	}
	return bits
}

// squareTables writes the factors and where, of 16 even and 16 odd channels, each
// lies in memory.
func (e *emitter) squareTables() {
	for i, bits := range floatBits(factors) {
		fmt.Fprintf(e, "DATA factors%s<>+%d(SB)/4, $0x%08x\n", e.name, 4*i, bits)
	}
	fmt.Fprintf(e, "GLOBL factors%s<>(SB), RODATA|NOPTR, $%d\n", e.name, 4*len(factors))
	for i := range 32 {
		fmt.Fprintf(e, "DATA interleaved%s<>+%d(SB)/2, $%d\n", e.name, 2*i, i/2+i%2*16)
	}
	fmt.Fprintf(e, "GLOBL interleaved%s<>(SB), RODATA|NOPTR, $64\n", e.name)
}

// linearTransform is such a map of float32, not fed back.
type linearTransform struct {
	name     string
	matrix   [][]float64
	bf16     bool // to bfloat16
	epilogue bool // add a row of float32 biases to every result
	add      bool // and rows of bfloat16
}

var linearTransforms = []linearTransform{
	{name: "squaresOutput", matrix: outputMatrix, bf16: true, epilogue: true},
	{name: "squaresOutputAdd", matrix: outputMatrix, bf16: true, epilogue: true, add: true},
	{name: "repeatedOutput", matrix: upsampledOutput, bf16: true, epilogue: true},
	{name: "repeatedOutputAdd", matrix: upsampledOutput, bf16: true, epilogue: true, add: true},
	{name: "repeatedGradOutput", matrix: upsampledGradOutput, bf16: true, epilogue: true},
	{name: "repeatedGradOutputAdd", matrix: upsampledGradOutput, bf16: true, epilogue: true, add: true},
}

// linear emits such a transform, 16 channels at a time, and returns its name.
// Registers are those of squares, but for DX addends, R9 how far the square lies
// from them, R14 with the channel, AX only at the ends of squares, and R15 biases.
func (e *emitter) linear(k linearTransform) string {
	name := k.name + e.name
	e.function(name, "a *bf16TransformArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ %d(AX), SI", bf16In)
	e.op("MOVQ %d(AX), DI", bf16Out)
	e.op("MOVQ %d(AX), DX", bf16Add)
	e.op("MOVQ %d(AX), CX", bf16Count)
	e.op("MOVQ %d(AX), R8", bf16Mask)
	e.op("KMOVW (R8), K1")
	for _, r := range []string{"R9", "R10", "R11"} {
		e.op("XORQ %s, %s", r, r)
	}
	e.label("square")
	e.op("MOVQ R9, R14")
	e.op("MOVQ R10, R13")
	e.op("MOVQ R11, R12")
	if k.epilogue {
		e.op("MOVQ %d(AX), R15", bf16Bias)
	}
	e.op("MOVQ %d(AX), BX", bf16Full)
	e.op("TESTQ BX, BX")
	e.op("JZ tail")
	e.op("PCALIGN $32")
	e.label("full")
	e.linearSquare(k, "")
	e.op("ADDQ $64, R13")
	e.op("ADDQ $%d, R12", map[bool]int{true: 32, false: 64}[k.bf16])
	if k.add {
		e.op("ADDQ $32, R14")
	}
	if k.epilogue {
		e.op("ADDQ $64, R15")
	}
	e.op("DECQ BX")
	e.op("JNZ full")
	e.label("tail")
	e.op("CMPQ %d(AX), $0", bf16Tail)
	e.op("JE next")
	e.linearSquare(k, "K1, ")
	e.label("next")
	e.op("ADDQ %d(AX), R9", bf16AddPitch)
	e.op("ADDQ %d(AX), R10", bf16InPitch)
	e.op("ADDQ %d(AX), R11", bf16OutPitch)
	e.op("DECQ CX")
	e.op("JNZ square")
	e.ret()
	return name
}

// linearSquare transforms 16 channels: first along columns of the square, then
// along its lines. The bias joins the place that goes into every result once.
func (e *emitter) linearSquare(k linearTransform, mask string) {
	const sum, addend, y, bias, x = 0, 1, 4, 16, 20 // y: M·in, x: a column of in; combine has 2 and 3
	zeroing := ""
	if mask != "" {
		zeroing = ".Z"
	}
	rows, side := len(k.matrix), len(k.matrix[0])
	if k.epilogue {
		e.op("VMOVUPS%s (R15), %sZ%d", zeroing, mask, bias)
	}
	b := &body{emitter: e}
	for j := range side {
		for i := range side {
			e.op("MOVQ %d(SI), R8", 8*(i*side+j))
			e.op("VMOVUPS%s (R8)(R13*1), %sZ%d", zeroing, mask, x+i)
		}
		if k.epilogue && j == 1 {
			e.op("VADDPS Z%d, Z%d, Z%d", bias, x+1, x+1)
		}
		for i, row := range k.matrix {
			b.combine(row, y+i*side+j, func(n, to int) { e.op("VMOVAPS Z%d, Z%d", x+n, to) })
		}
	}
	for i := range rows {
		for j, row := range k.matrix {
			b.combine(row, sum, func(n, to int) { e.op("VMOVAPS Z%d, Z%d", y+i*side+n, to) })
			if k.add {
				e.op("MOVQ %d(DX), R8", 8*(i*rows+j))
				e.op("VPMOVZXWD%s (R8)(R14*1), %sZ%d", zeroing, mask, addend)
				e.op("VPSLLD $16, Z%d, Z%d", addend, addend)
				e.op("VADDPS Z%d, Z%d, Z%d", addend, sum, sum)
			}
			e.op("MOVQ %d(DI), R8", 8*(i*rows+j))
			switch {
			case !k.bf16:
				e.op("VMOVUPS Z%d, %s(R8)(R12*1)", sum, mask)
			case mask == "":
				e.narrow(sum, sum)
				e.op("VMOVDQU32 Y%d, (R8)(R12*1)", sum)
			default:
				e.narrow(sum, sum)
				e.op("VMOVDQU16 Y%d, %s(R8)(R12*1)", sum, mask)
			}
		}
	}
}

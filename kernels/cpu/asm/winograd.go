package main

import "fmt"

// transform is a bilinear map of small squares, out = M·in·Mᵀ, over rows of
// channels: the steps of Winograd's convolution F(2×2, 3×3) (Lavin & Gray, "Fast
// Algorithms for Convolutional Neural Networks", 2016, equations 7 to 9).
type transform struct {
	name     string
	matrix   [][]float64 // entries 0, ±1, ±½
	epilogue bool        // add a row of biases to every result
	add      bool        // and an addend to each
}

var (
	inputMatrix   = [][]float64{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}}
	outputMatrix  = [][]float64{{1, 1, 1, 0}, {0, 1, -1, -1}}
	weightsMatrix = [][]float64{{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}}
)

// Those of repeated pixels: winograd.go of package cpu derives them.
var (
	upsampledInput      = [][]float64{{1, -1, 0}, {0, 1, 0}, {0, 1, -1}}
	upsampledOutput     = [][]float64{{1, 1, 0}, {0, 1, -1}}
	upsampledWeights    = [][]float64{{1, 0, 0}, {1, 1, 1}, {0, 0, 1}}
	upsampledGradInput  = [][]float64{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, 1, 0, -1}}
	upsampledGradOutput = [][]float64{{1, 1, -1}}
)

var transforms = []transform{
	{name: "winogradInput", matrix: inputMatrix},
	{name: "winogradOutput", matrix: outputMatrix, epilogue: true},
	{name: "winogradOutputAdd", matrix: outputMatrix, epilogue: true, add: true},
	{name: "winogradOutputGrad", matrix: transposed(outputMatrix)},
	{name: "winogradWeights", matrix: weightsMatrix},
	{name: "winogradWeightsGrad", matrix: transposed(weightsMatrix)},
	{name: "upsampledInput", matrix: upsampledInput},
	{name: "upsampledOutput", matrix: upsampledOutput, epilogue: true},
	{name: "upsampledOutputAdd", matrix: upsampledOutput, epilogue: true, add: true},
	{name: "upsampledOutputGrad", matrix: transposed(upsampledOutput)},
	{name: "upsampledWeights", matrix: upsampledWeights},
	{name: "upsampledWeightsGrad", matrix: transposed(upsampledWeights)},
	{name: "upsampledGradInput", matrix: upsampledGradInput},
	{name: "upsampledGradOutput", matrix: upsampledGradOutput, epilogue: true},
	{name: "upsampledGradOutputAdd", matrix: upsampledGradOutput, epilogue: true, add: true},
}

func transposed(m [][]float64) [][]float64 {
	t := make([][]float64, len(m[0]))
	for _, row := range m {
		for j, x := range row {
			t[j] = append(t[j], x)
		}
	}
	return t
}

// Offsets in transformArgs.
const (
	transformIn, transformOut, transformFull, transformTail = 0, 8, 16, 24
	transformMask, transformBias, transformAdd              = 32, 40, 48
)

// Registers of transforms: SI, DI, R11 tables of addresses of in, out and add;
// R10 biases; R13 bytes into a row, R14 where whole vectors end; R8 a row.
const (
	result  = 0 // vector of a result, 1 to help
	columns = 4 // vectors of a row of M·in, up to four
)

// winograd emits a transform and returns its name.
func (e *emitter) winograd(k transform) string {
	name := k.name + e.name
	e.function(name, "a *transformArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ %d(AX), SI", transformIn)
	e.op("MOVQ %d(AX), DI", transformOut)
	e.op("MOVQ %d(AX), R14", transformFull)
	e.op("MOVQ %d(AX), R13", transformMask)
	if e.reg == "Z" {
		e.op("KMOVW (R13), K1")
	} else {
		e.op("VMOVUPS 64(R13), %s", e.vec(maskVec))
	}
	if k.epilogue {
		e.op("MOVQ %d(AX), R10", transformBias)
	}
	if k.add {
		e.op("MOVQ %d(AX), R11", transformAdd)
	}
	e.op("XORQ R13, R13")
	e.op("CMPQ R13, R14")
	e.op("JGE tail")
	e.op("PCALIGN $32")
	e.label("full")
	(&body{emitter: e}).square(k)
	e.op("ADDQ $%d, R13", 4*e.lanes)
	e.op("CMPQ R13, R14")
	e.op("JLT full")
	e.label("tail")
	e.op("CMPQ %d(AX), $0", transformTail)
	e.op("JE end")
	(&body{emitter: e, masked: true}).square(k)
	e.label("end")
	e.ret()
	return name
}

// square transforms one vector of channels: row by row of the result, first
// along the columns of the input, then along the row.
func (e *body) square(k transform) {
	side := len(k.matrix[0])
	for i, row := range k.matrix {
		for j := range side {
			e.combine(row, columns+j, func(n, to int) {
				e.op("MOVQ %d(SI), R8", 8*(n*side+j))
				e.load("(R8)(R13*1)", to)
			})
		}
		for m, along := range k.matrix {
			e.combine(along, result, func(n, to int) { e.op("VMOVAPS %s, %s", e.vec(columns+n), e.vec(to)) })
			at := 8 * (i*len(k.matrix) + m)
			if k.epilogue {
				e.load("(R10)(R13*1)", result+1)
				e.op("VADDPS %s, %s, %s", e.vec(result+1), e.vec(result), e.vec(result))
			}
			if k.add {
				e.op("MOVQ %d(R11), R8", at)
				e.load("(R8)(R13*1)", result+1)
				e.op("VADDPS %s, %s, %s", e.vec(result+1), e.vec(result), e.vec(result))
			}
			e.op("MOVQ %d(DI), R8", at)
			e.store(result, "(R8)(R13*1)")
		}
	}
}

// combine makes vector `to` the combination Σ coefficients[n]·term(n), halves
// first. It uses vectors 2 and 3.
func (e *body) combine(coefficients []float64, to int, term func(n, to int)) {
	const other = 2
	begun := false
	for _, size := range []float64{.5, 1} {
		for _, sign := range []float64{1, -1} { // so that the first term is a positive one, if any is
			for n, c := range coefficients {
				switch {
				case c != sign*size:
				case !begun && sign > 0:
					term(n, to)
					begun = true
				default:
					if !begun {
						e.zero(e.vec(to))
						begun = true
					}
					term(n, other)
					instruction := map[float64]string{1: "VADDPS", -1: "VSUBPS"}[sign]
					e.op("%s %s, %s, %s", instruction, e.vec(other), e.vec(to), e.vec(to))
				}
			}
		}
		if size == .5 && begun {
			e.op("VMULPS %s, %s, %s", e.number(.5), e.vec(to), e.vec(to))
		}
	}
	if !begun {
		panic(fmt.Sprint("no term in ", coefficients))
	}
}

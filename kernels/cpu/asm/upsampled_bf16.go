package main

import "math"

// repeatedTransform is a map of small squares along both axes, rounded with feedback
// to 3×3 of bfloat16: a step of Winograd's convolution of an image whose pixels are
// repeated. Package cpu says what feedback is (winograd_half.go); here, too, R is
// rounded such that lower·R·lowerᵀ = ends·x·endsᵀ but for one rounding at each place.
type repeatedTransform struct {
	name        string
	ends, lower [][]float64 // entries 0, ±1, ±½
	single      bool        // of float32, else of bfloat16
}

// With the matrices of winograd.go and errors δ of the places, what is expected of the
// square of the error of a result is, along an axis and for places in the order 0, 1, 3:
//
//	input            (δ₀+δ₁)² + 4δ₁² + (δ₃−δ₁)²
//	its gradient     (δ₀+δ₁)² + δ₁² + (δ₃−δ₁)²
//	weights          2(δ₀−δ₁/2)² + δ₁² + 2(δ₃−δ₁/2)²
//	result's grad.   2(δ₀−δ₁/2)² + 2δ₁² + 2(δ₃+δ₁/2)²
var repeatedTransforms = []repeatedTransform{
	{
		name:  "repeatedInput",
		ends:  [][]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, -1}},
		lower: [][]float64{{1, 1, 0}, {0, 1, 0}, {0, -1, 1}},
	},
	{
		name:  "repeatedGradInput",
		ends:  [][]float64{{1, 1, 0, 0}, {0, 1, 1, 0}, {0, 0, -1, -1}},
		lower: [][]float64{{1, 1, 0}, {0, 1, 0}, {0, -1, 1}},
	},
	{
		name:   "repeatedWeights",
		ends:   [][]float64{{.5, -.5, -.5}, {1, 1, 1}, {-.5, -.5, .5}},
		lower:  [][]float64{{1, -.5, 0}, {0, 1, 0}, {0, -.5, 1}},
		single: true,
	},
	{
		name:  "repeatedOutputGrad",
		ends:  [][]float64{{.5, -.5}, {1, 1}, {.5, -.5}},
		lower: [][]float64{{1, -.5, 0}, {0, 1, 0}, {0, .5, 1}},
	},
}

// Vectors of these transforms, behind the two that combine uses.
const (
	repeatedRounded = 4  // the nine places
	repeatedLine    = 16 // of up to four
	repeatedBF16    = 20 // bfloat16
	repeatedFeed    = 28 // ½ and ¼
)

// repeated emits such a transform, 16 channels at a time, and returns its name.
// Registers: SI, DI tables of addresses; R10, R11 how far the square lies from them, R13, R12
// with the channel; BX vectors left, CX squares left; R8 a line.
func (e *emitter) repeated(k repeatedTransform) string {
	name := k.name + e.name
	step := map[bool]int{true: 64, false: 32}[k.single]
	e.function(name, "a *bf16TransformArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ %d(AX), SI", bf16In)
	e.op("MOVQ %d(AX), DI", bf16Out)
	e.op("MOVQ %d(AX), CX", bf16Count)
	e.op("MOVQ %d(AX), R8", bf16Mask)
	e.op("KMOVW (R8), K1")
	for i, x := range []float32{.5, .25} {
		e.op("MOVL $%#08x, R8", math.Float32bits(x))
		e.op("VPBROADCASTD R8, Z%d", repeatedFeed+i)
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
	e.repeatedSquare(k, "", "")
	e.op("ADDQ $%d, R13", step)
	e.op("ADDQ $32, R12")
	e.op("DECQ BX")
	e.op("JNZ full")
	e.label("tail")
	e.op("CMPQ %d(AX), $0", bf16Tail)
	e.op("JE next")
	e.repeatedSquare(k, ".Z", "K1, ")
	e.label("next")
	e.op("ADDQ %d(AX), R10", bf16InPitch)
	e.op("ADDQ %d(AX), R11", bf16OutPitch)
	e.op("DECQ CX")
	e.op("JNZ square")
	e.ret()
	return name
}

// repeatedSquare transforms 16 channels, the middle first.
func (e *emitter) repeatedSquare(k repeatedTransform, zeroing, mask string) {
	b := &body{emitter: e}
	side := len(k.ends[0])
	order := []int{1, 0, 2}
	for a, i := range order {
		for n := range side {
			b.combine(k.ends[i], repeatedLine+n, func(m, to int) {
				e.op("MOVQ %d(SI), R8", 8*(m*side+n))
				if k.single {
					e.op("VMOVUPS%s (R8)(R13*1), %sZ%d", zeroing, mask, to)
					return
				}
				e.op("VPMOVZXWD%s (R8)(R13*1), %sZ%d", zeroing, mask, to)
				e.op("VPSLLD $16, Z%d, Z%d", to, to)
			})
		}
		for c, j := range order {
			x := repeatedRounded + 3*i + j
			b.combine(k.ends[j], x, func(n, to int) { e.op("VMOVAPS Z%d, Z%d", repeatedLine+n, to) })
			for _, p := range order[:a+1] {
				for d, q := range order {
					if (p != i || d < c) && (p != i || q != j) {
						e.feedBack(k.lower[i][p]*k.lower[j][q], repeatedRounded+3*p+q, x)
					}
				}
			}
			e.narrow(x, repeatedBF16)
			e.op("MOVQ %d(DI), R8", 8*(3*i+j))
			if mask == "" {
				e.op("VMOVDQU32 Y%d, (R8)(R12*1)", repeatedBF16)
			} else {
				e.op("VMOVDQU16 Y%d, %s(R8)(R12*1)", repeatedBF16, mask)
			}
			e.op("VPMOVZXWD Y%d, Z%d", repeatedBF16, x)
			e.op("VPSLLD $16, Z%d, Z%d", x, x)
		}
	}
}

// feedBack emits x −= c·rounded.
func (e *emitter) feedBack(c float64, rounded, x int) {
	factor := map[float64]int{.5: repeatedFeed, .25: repeatedFeed + 1}[math.Abs(c)]
	switch {
	case c == 0:
	case c == 1:
		e.op("VSUBPS Z%d, Z%d, Z%d", rounded, x, x)
	case c == -1:
		e.op("VADDPS Z%d, Z%d, Z%d", rounded, x, x)
	case c > 0:
		e.op("VFNMADD231PS Z%d, Z%d, Z%d", factor, rounded, x)
	default:
		e.op("VFMADD231PS Z%d, Z%d, Z%d", factor, rounded, x)
	}
}

package main

// halfTransform is a linear map of a few rows, out = M·in, from and to bfloat16
// or float32: the steps of Winograd's convolution F(2, 3), in one dimension.
type halfTransform struct {
	name            string
	matrix          [][]float64 // entries 0, ±1, ±½
	inHalf, outHalf bool        // rows of bfloat16
	epilogue        bool        // add a row of float32 biases to every result
	add             bool        // and rows of bfloat16
}

var halfTransforms = []halfTransform{
	{name: "winogradHalfInput", matrix: inputMatrix, inHalf: true, outHalf: true},
	{name: "winogradHalfOutput", matrix: outputMatrix, outHalf: true, epilogue: true},
	{name: "winogradHalfOutputAdd", matrix: outputMatrix, outHalf: true, epilogue: true, add: true},
	{name: "winogradHalfOutputGrad", matrix: transposed(outputMatrix), inHalf: true, outHalf: true},
	{name: "winogradHalfWeights", matrix: weightsMatrix, outHalf: true},
	{name: "winogradHalfWeightsGrad", matrix: transposed(weightsMatrix)},
}

// Offsets in halfTransformArgs.
const (
	halfIn, halfOut, halfAdd                = 0, 8, 16
	halfInPitch, halfOutPitch, halfAddPitch = 24, 32, 40
	halfCount, halfFull, halfTail           = 48, 56, 64
	halfMask, halfBias                      = 72, 80
)

// Vectors of these transforms; combine has 2 and 3 for itself.
const halfResult, halfBiases, halfAddend, halfInputs = 0, 1, 2, 4

// Registers of these transforms: rows of in, of out, and of the addend in the
// places of those that a map with one does not have; DX biases, R13 the column, R14
// where whole vectors end, CX rows left.
var (
	inRows  = []string{"SI", "R8", "R9", "R10"}
	outRows = []string{"DI", "BX", "R11", "R12"}
	addRows = []string{"R11", "R12"}
)

// winogradHalf emits a transform and returns its name.
func (e *emitter) winogradHalf(k halfTransform) string {
	name := k.name + e.name
	e.function(name, "a *halfTransformArgs", 8)
	e.op("MOVQ a+0(FP), AX")
	e.op("MOVQ %d(AX), R13", halfMask)
	e.op("KMOVW (R13), K1")
	e.op("MOVQ %d(AX), R14", halfFull)
	e.op("MOVQ %d(AX), CX", halfCount)
	table := func(offset int, rows []string) {
		e.op("MOVQ %d(AX), R13", offset)
		for i, r := range rows {
			e.op("MOVQ %d(R13), %s", 8*i, r)
		}
	}
	in, out, add := inRows[:len(k.matrix[0])], outRows[:len(k.matrix)], addRows[:0]
	table(halfIn, in)
	table(halfOut, out)
	if k.add {
		add = addRows
		table(halfAdd, add)
	}
	if k.epilogue {
		e.op("MOVQ %d(AX), DX", halfBias)
	}
	e.op("PCALIGN $32")
	e.label("row")
	e.op("XORQ R13, R13")
	e.op("CMPQ R13, R14")
	e.op("JGE tail")
	e.op("PCALIGN $32")
	e.label("full")
	e.line(k, in, out, add, "")
	e.op("ADDQ $%d, R13", e.lanes)
	e.op("CMPQ R13, R14")
	e.op("JLT full")
	e.label("tail")
	e.op("CMPQ %d(AX), $0", halfTail)
	e.op("JE next")
	e.line(k, in, out, add, "K1")
	e.label("next")
	for _, step := range []struct {
		rows  []string
		pitch int
	}{{in, halfInPitch}, {out, halfOutPitch}, {add, halfAddPitch}} {
		for _, r := range step.rows {
			e.op("ADDQ %d(AX), %s", step.pitch, r)
		}
	}
	e.op("DECQ CX")
	e.op("JNZ row")
	e.ret()
	return name
}

// line transforms one vector of each row, within a mask if there is one.
func (e *emitter) line(k halfTransform, in, out, add []string, mask string) {
	zeroing, masked := "", ""
	if mask != "" {
		zeroing, masked = ".Z", mask+", "
	}
	load := func(half bool, row string, to int) {
		if half {
			e.op("VPMOVZXWD%s (%s)(R13*2), %sZ%d", zeroing, row, masked, to)
			e.op("VPSLLD $16, Z%d, Z%d", to, to)
			return
		}
		e.op("VMOVUPS%s (%s)(R13*4), %sZ%d", zeroing, row, masked, to)
	}
	for i, row := range in {
		load(k.inHalf, row, halfInputs+i)
	}
	if k.epilogue {
		load(false, "DX", halfBiases)
	}
	b := &body{emitter: e}
	for i, row := range k.matrix {
		b.combine(row, halfResult, func(n, to int) { e.op("VMOVAPS Z%d, Z%d", halfInputs+n, to) })
		if k.epilogue {
			e.op("VADDPS Z%d, Z%d, Z%d", halfBiases, halfResult, halfResult)
		}
		if k.add {
			load(true, add[i], halfAddend)
			e.op("VADDPS Z%d, Z%d, Z%d", halfAddend, halfResult, halfResult)
		}
		switch {
		case !k.outHalf:
			e.op("VMOVUPS Z%d, %s(%s)(R13*4)", halfResult, masked, out[i])
		case mask == "":
			e.narrow(halfResult, halfResult)
			e.op("VMOVDQU32 Y%d, (%s)(R13*2)", halfResult, out[i])
		default:
			e.narrow(halfResult, halfResult)
			e.op("VMOVDQU16 Y%d, %s, (%s)(R13*2)", halfResult, mask, out[i])
		}
	}
}

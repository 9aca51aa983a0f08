package cpu

import "unsafe"

// avx512BFloat16 is avx512 with products of bfloat16.
func avx512BFloat16() *Kernels {
	tiles := [4]func(*TileBF16){tileBF16AVX512_16, tileBF16AVX512_32, tileBF16AVX512_48, tileBF16AVX512_64}
	turned := [4]func(*TileTBF16){tileTBF16AVX512_16, tileTBF16AVX512_32, tileTBF16AVX512_48, tileTBF16AVX512_64}
	k := avx512()
	k.Name = "avx512_bf16"
	normsBF16AVX512BF16(&k.BF16Norms)
	k.BF16 = &BF16{
		Rows: TileRows, Cols: k.TileCols, Panels: 1,
		Tile:  func(t *TileBF16) { tiles[t.Width/16-1](t) },
		TileT: func(t *TileTBF16) { turned[t.Width/16-1](t) },
		Pairs: func(out uintptr, pitch int, in *uintptr, offset, pairs, cols int) {
			a := pairArgs{in, out, pitch, pairs, cols / 16, cols % 16, unsafe.Pointer(&masks[cols%16]), offset}
			pairsAVX512(&a)
		},
		PairsRounded: func(out uintptr, pitch int, in *uintptr, offset, pairs, cols int) {
			a := pairArgs{in, out, pitch, pairs, cols / 16, cols % 16, unsafe.Pointer(&masks[cols%16]), offset}
			pairsRoundedAVX512(&a)
		},
		Narrow: func(to []uint16, from []float32) {
			a := castOf(pointer(from[:len(to)]), unsafe.Pointer(unsafe.SliceData(to)), len(to))
			narrowAVX512(&a)
		},
		Addresses: func(to []uintptr, source []int32, base, pitch, elsewhere uintptr) bool {
			a := addressArgs{unsafe.SliceData(to[:len(source)]), unsafe.SliceData(source), len(source), base, pitch, elsewhere, 0}
			addressesAVX512(&a)
			return a.outside != 255
		},
		Squares: bf16SquaresAVX512(),
		SquarePairs: &BF16Pairs{
			Input: func(p *SquarePair) {
				a := pairTransformOf(p)
				winogradPairsInputAVX512(&a)
			},
			OutputGrad: func(p *SquarePair) {
				a := pairTransformOf(p)
				winogradPairsOutputGradAVX512(&a)
			},
		},
		Upsampled: upsampledBF16AVX512(), UpsampledGrad: upsampledGradBF16AVX512(),
		peak: peakBF16AVX512, peakFLOPs: fmasPerRound * 2 * flopsPerFMA * 16,
	}
	return k
}

func bf16SquaresAVX512() *BF16Squares {
	return &BF16Squares{
		Input: func(l *BF16Lines) {
			a := fedArgsOf(l)
			squaresInputAVX512(&a)
		},
		Output: func(l *BF16Lines) {
			a := linearArgsOf(l)
			if l.Add != nil {
				squaresOutputAddAVX512(&a)
			} else {
				squaresOutputAVX512(&a)
			}
		},
		Weights: func(l *BF16Lines) {
			a := fedArgsOf(l)
			a.inPitch /= 2 // counted in bytes of bfloat16
			squaresWeightsAVX512(&a)
		},
	}
}

// fedArgsOf is the operands of a step with feedback: 32 channels at a time.
func fedArgsOf(l *BF16Lines) bf16TransformArgs {
	tail := l.Columns % 32
	return bf16TransformArgs{
		l.In, l.Out, nil, l.InPitch, l.OutPitch, 0, l.Count, l.Columns / 32, tail, unsafe.Pointer(&bf16Masks[tail]), 0,
	}
}

func linearArgsOf(l *BF16Lines) bf16TransformArgs {
	tail := l.Columns % 16
	return bf16TransformArgs{
		l.In, l.Out, l.Add, l.InPitch, l.OutPitch, l.AddPitch, l.Count, l.Columns / 16, tail, unsafe.Pointer(&masks[tail]), l.Bias,
	}
}

// bf16TransformArgs is what the assembly of BF16Squares reads;
// asm/winograd_squares.go has the offsets.
type bf16TransformArgs struct {
	in, out, add                *uintptr
	inPitch, outPitch, addPitch int
	count, full, tail           int // squares, whole vectors, elements behind them
	mask                        unsafe.Pointer
	bias                        uintptr
}

// pairTransformArgs is what the assembly of BF16Pairs reads; asm/winograd_pairs.go has the offsets.
type pairTransformArgs struct {
	in           *uintptr
	out          uintptr
	place, panel int // bytes; panel from the end of one
	end, tail    int // bytes of whole vectors, channels behind them
	mask         unsafe.Pointer
}

func pairTransformOf(p *SquarePair) pairTransformArgs {
	tail := p.Channels % 16
	return pairTransformArgs{p.In, p.Out, p.Place, p.Panel - 4*PairPanel, 2 * (p.Channels - tail), tail, unsafe.Pointer(&masks[tail])}
}

// pairArgs is what the assembly of Pairs reads; asm/bfloat16.go has the offsets.
type pairArgs struct {
	in           *uintptr
	out          uintptr
	pitch, pairs int
	full, tail   int // vectors, elements
	mask         unsafe.Pointer
	offset       int
}

// addressArgs is what the assembly of Addresses reads, and writes: outside is bits of the places
// in a vector where all sources are negative.
type addressArgs struct {
	to                     *uintptr
	source                 *int32
	n                      int
	base, pitch, elsewhere uintptr
	outside                int
}

// castArgs is what the assembly of Widen and Narrow reads.
type castArgs struct {
	from, to   unsafe.Pointer
	full, tail int // vectors, elements
	mask       unsafe.Pointer
}

func castOf(from, to unsafe.Pointer, n int) castArgs {
	return castArgs{from, to, n / 16, n % 16, unsafe.Pointer(&masks[n%16])}
}

func castsAVX512(k *Kernels) {
	k.Widen = func(to []float32, from []uint16) {
		a := castOf(unsafe.Pointer(unsafe.SliceData(from[:len(to)])), pointer(to), len(to))
		widenAVX512(&a)
	}
	k.Narrow = func(to []uint16, from []float32) {
		a := castOf(pointer(from[:len(to)]), unsafe.Pointer(unsafe.SliceData(to)), len(to))
		roundAVX512(&a)
	}
}

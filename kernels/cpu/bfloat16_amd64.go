package cpu

import "unsafe"

// avx512BFloat16 is avx512 with products of bfloat16.
func avx512BFloat16() *Kernels {
	tiles := [4]func(*TileHalf){tileHalfAVX512_16, tileHalfAVX512_32, tileHalfAVX512_48, tileHalfAVX512_64}
	turned := [4]func(*TileTHalf){tileTHalfAVX512_16, tileTHalfAVX512_32, tileTHalfAVX512_48, tileTHalfAVX512_64}
	k := avx512()
	k.Name = "avx512_bf16"
	k.Half = &Half{
		Rows: TileRows, Cols: k.TileCols, Panels: 1,
		Tile:  func(t *TileHalf) { tiles[t.Width/16-1](t) },
		TileT: func(t *TileTHalf) { turned[t.Width/16-1](t) },
		Pairs: func(out uintptr, pitch int, in *uintptr, offset, pairs, cols int) {
			a := pairArgs{in, out, pitch, pairs, cols / 16, cols % 16, unsafe.Pointer(&masks[cols%16]), offset}
			pairsAVX512(&a)
		},
		peak: peakHalfAVX512,
	}
	return k
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

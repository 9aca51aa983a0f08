package cpu

import "unsafe"

// amx is avx512_bf16 with products of bfloat16 in tiles.
func amx() *Kernels {
	k := avx512BFloat16()
	k.Name = "amx"
	bf16 := *k.BF16
	bf16.Upsampled, bf16.UpsampledGrad = nil, nil
	bf16.Squares, bf16.SquarePairs = nil, nil // what its transforms cost is more than the products that it saves
	bf16.Rows, bf16.Cols, bf16.Panels = 32, 32, 64
	bf16.Tile, bf16.TileT, bf16.Turn = tileAMX, tileTAMX, turnTiles
	bf16.peak, bf16.peakFLOPs = peakTiles, 8*2*16*16*32
	k.BF16 = &bf16
	return k
}

// tileConfig lets all eight tiles have 16 rows of 64 bytes. It is loaded and released by
// each function of assembly, since Go may go on in another thread behind it: once in the
// thousands of cycles of a call.
var tileConfig = func() *[64]byte {
	config := (*[64]byte)(unsafe.Pointer(unsafe.SliceData(aligned(16))))
	config[0] = 1 // palette
	for tile := range 8 {
		config[16+2*tile], config[48+tile] = 64, 16
	}
	return config
}()

// stripArgs, productArgs, gradientArgs, turnArgs and peakArgs are what the assembly
// reads; asm/amx.go has the offsets. Pitches are bytes.
type stripArgs struct {
	a              *uintptr
	strips, copies uintptr
	taps, count    int // count: strips of a tap, 16 rows each
	full, tail     int // 64 bytes, elements
	mask           unsafe.Pointer
	pitch          int // of copied rows
}

type productArgs struct {
	strips               uintptr
	b                    *uintptr
	taps, steps          int
	bPitch, bPanel       int
	c                    uintptr
	cPitch, rows, panels int
	float32              int
	bias, add            uintptr
	addPitch, cPanel     int
	config               *[64]byte
	square               uintptr // 32×32 floats
}

type gradientArgs struct {
	a                  uintptr
	aPitch             int
	b                  uintptr
	bPitch, steps      int
	c                  uintptr
	cPitch             int
	_                  int
	accumulate, panels int
	bPanel             int
	config             *[64]byte
}

type turnArgs struct {
	at              uintptr
	pitch           int
	squares, across int
}

type peakArgs struct {
	config *[64]byte
	rounds int
}

// bf16Masks are the elements of a row's last 32 that exist.
var bf16Masks = func() (all [32]uint64) {
	for n := range all {
		all[n] = 1<<n - 1
	}
	return all
}()

// tileAMX finds strips of rows at one pitch, or copies rows into such, and multiplies
// them with every panel. Strips are 16 bytes, address and pitch, two to a tap.
func tileAMX(t *TileBF16) {
	square := t.Work
	strips := square + 4*MaxBF16Rows*MaxBF16Cols
	tail := t.Depth % 32
	s := stripArgs{
		a: t.A, strips: strips, copies: strips + uintptr(64*t.Taps), taps: t.Taps, count: (t.Rows + 15) / 16,
		full: t.Depth / 32, tail: tail, mask: unsafe.Pointer(&bf16Masks[tail]), pitch: 4 * PairRows(t.Depth),
	}
	stripsAMX(&s)
	a := productArgs{
		strips: strips, b: t.B, taps: t.Taps, steps: PairRows(t.Depth) / PairsMultiple, bPitch: t.BPitch, bPanel: t.BPanel,
		c: t.C, cPitch: t.CPitch, rows: t.Rows, panels: max(1, t.Width/32), float32: t.Float32,
		bias: t.Bias, add: t.Add, addPitch: t.AddPitch, cPanel: 64 << t.Float32, config: tileConfig, square: square,
	}
	switch narrow := t.Width == 16; {
	case t.Rows > 16 && narrow:
		productAMX_32x16(&a)
	case t.Rows > 16:
		productAMX_32x32(&a)
	case narrow:
		productAMX_16x16(&a)
	default:
		productAMX_16x32(&a)
	}
}

func tileTAMX(t *TileTBF16) {
	a := gradientArgs{
		a: t.A, aPitch: t.APitch, b: t.B, bPitch: t.BPitch, steps: t.Depth / PairsMultiple,
		c: t.C, cPitch: t.CPitch, accumulate: t.Accumulate, panels: max(1, t.Width/32), bPanel: t.BPanel, config: tileConfig,
	}
	switch narrow := t.Width == 16; {
	case t.Rows > 16 && narrow:
		gradientAMX_32x16(&a)
	case t.Rows > 16:
		gradientAMX_32x32(&a)
	case narrow:
		gradientAMX_16x16(&a)
	default:
		gradientAMX_16x32(&a)
	}
}

func turnTiles(at uintptr, pitch, rows, cols int) {
	a := turnArgs{at, pitch, rows / 16, cols / 16}
	turnAMX(&a)
}

func peakTiles(rounds int) {
	a := peakArgs{tileConfig, rounds}
	peakAMX(&a)
}

package gemm

import (
	"unsafe"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/number"
)

// Local multiplies tiles inside one worker, for kernels that never hold a product as a
// whole, such as attention. A tile is the product of own rows, which are packed once, and of
// other rows, which are streamed past them. Both are rows of tensors of one type. bfloat16
// is multiplied directly if the instruction set can, or else widened to float32 a few rows
// at a time. Sums are float32.
//
// It allocates nothing after it was made.
type Local struct {
	tile      cpu.Tile
	tileT     cpu.TileT
	bf16      cpu.TileBF16
	bf16T     cpu.TileTBF16
	left      [cpu.MaxBF16Rows]uintptr
	right     [1]uintptr
	rows      []uintptr // of a tile, and more to make it rows of pairs
	zeros     []uint16
	wide      []float32 // a few rows, widened
	panel     []float32 // a panel of columns of rows, in pairs for bfloat16
	turned    []float32 // a tile, transposed
	rounded   []float32 // or a tile in bfloat16
	pairs     []float32 // and the same in pairs
	work      []float32 // of a micro-kernel on bfloat16
	own, most int
}

// wideRows is how many rows are widened at a time.
const wideRows = 8 * tileRows

// ReadPast is how many floats behind the columns of a tile, and behind a tensor,
// the products may read.
const ReadPast = 64

// parts calls take for each part of the working memory, with its size.
func (l *Local) parts(depth int, take func(floats int) []float32) {
	own, most := roundUp(l.own, 16), roundUp(l.most, 16)
	l.wide = take(wideRows*depth + ReadPast)
	l.panel = take(2 * cpu.PairRows(most) * maxWidth)
	rounded, pairs := own*most/2, max(cpu.PairRows(most)*own, cpu.PairRows(own)*most)
	l.turned = take(max(own*most, rounded+pairs) + ReadPast)
	if l.turned != nil {
		l.rounded, l.pairs = l.turned[:rounded], l.turned[rounded:]
	}
	l.work = take(cpu.BF16Work(1, depth))
}

// LocalScratch is the working memory of a Local, in floats.
func LocalScratch(own, streamed, depth int) int {
	total := 0
	l := &Local{own: own, most: streamed}
	l.parts(depth, func(floats int) []float32 {
		total += roundUp(floats, 16)
		return nil
	})
	return total
}

// NewLocal returns a Local for at most so many own and streamed rows of depth
// columns; scratch has LocalScratch floats and begins on a cache line.
func NewLocal(own, streamed, depth int, scratch []float32) *Local {
	l := &Local{own: own, most: streamed}
	l.rows = make([]uintptr, 2*cpu.PairRows(streamed))
	l.zeros = make([]uint16, max(own, maxWidth))
	l.parts(depth, func(floats int) []float32 {
		part := scratch[:floats:floats]
		scratch = scratch[roundUp(floats, 16):]
		return part
	})
	return l
}

// PackedSize is the length of packed rows, in floats.
func PackedSize(own, depth int) int { return max(depth, cpu.PairRows(depth)) * roundUp(own, 16) }

// TilePitch is the floats from row to row of a tile of so many own rows.
func TilePitch(own int) int { return roundUp(own, 16) }

// Pack lays own rows out as the right operand of Multiply; dst has PackedSize floats.
func (l *Local) Pack(k *cpu.Kernels, dst []float32, own kernels.Operand) {
	if multiplies(k, own) {
		pairs := cpu.PairRows(own.Cols)
		for first := 0; first < own.Rows; first += k.BF16.Cols {
			valid := min(k.BF16.Cols, own.Rows-first)
			padded := roundUp(valid, k.Lanes)
			PackPairs(k, dst[first*pairs:][:pairs*padded], own.BF16[first*own.Pitch:], own.Cols, valid, padded, own.Pitch)
		}
		return
	}
	for panel := range panels(k, own.Rows) {
		valid, padded := panelWidth(k, own.Rows, panel)
		to := dst[panel*k.TileCols*own.Cols:][:padded*own.Cols]
		for r := 0; r < valid; r += wideRows {
			part := own.Part(panel*k.TileCols+r, min(wideRows, valid-r), 0, own.Cols)
			m := kernels.Loaded(k, l.wide, part)
			k.Transpose(address(to[r:]), 4*padded, address(m.Data), 4*m.Pitch, m.Rows, m.Cols)
		}
	}
}

// multiplies tells whether rows are multiplied in the type in which they lie in memory.
func multiplies(k *cpu.Kernels, o kernels.Operand) bool {
	return o.Type == number.BFloat16 && k.BF16 != nil
}

// Multiply computes tile[s][o] = Σ_c streamed[s][c]·own[o][c]. The pitch of the
// tile is TilePitch of its columns.
func (l *Local) Multiply(k *cpu.Kernels, tile cpu.Matrix, streamed kernels.Operand, packed []float32) {
	if multiplies(k, streamed) {
		l.multiplyBF16(k, tile, streamed, packed)
		return
	}
	t := &l.tile
	*t = cpu.Tile{A: &l.left[0], B: &l.right[0], Taps: 1, CPitch: 4 * tile.Pitch}
	for r0 := 0; r0 < streamed.Rows; r0 += wideRows {
		m := kernels.Loaded(k, l.wide, streamed.Part(r0, wideRows, 0, streamed.Cols))
		for panel := range panels(k, tile.Cols) {
			_, padded := panelWidth(k, tile.Cols, panel)
			t.Width, t.BPitch = padded, 4*padded
			for k0 := 0; k0 < m.Cols; k0 += chunkTerms {
				t.Depth = min(chunkTerms, m.Cols-k0)
				t.Accumulate = min(k0, 1)
				l.right[0] = address(packed[panel*k.TileCols*m.Cols+k0*padded:])
				for r := 0; r < m.Rows; r += tileRows {
					t.Rows = min(tileRows, m.Rows-r)
					for i := range tileRows {
						l.left[i] = address(m.Data[(r+min(i, t.Rows-1))*m.Pitch+k0:])
					}
					t.C = address(tile.Data[(r0+r)*tile.Pitch+panel*k.TileCols:])
					k.Tile(t)
				}
			}
		}
	}
}

func (l *Local) multiplyBF16(k *cpu.Kernels, tile cpu.Matrix, streamed kernels.Operand, packed []float32) {
	t := &l.bf16
	*t = cpu.TileBF16{
		A: &l.left[0], B: &l.right[0], Taps: 1, Depth: streamed.Cols, CPitch: 4 * tile.Pitch, Float32: 1,
		BPanel: 4 * k.BF16.Cols * cpu.PairRows(streamed.Cols), Work: address(l.work),
	}
	for first := 0; first < tile.Cols; first += t.Width {
		whole := min((tile.Cols-first)/k.BF16.Cols, k.BF16.Panels) * k.BF16.Cols
		t.Width, t.BPitch = whole, 4*k.BF16.Cols
		if whole == 0 {
			t.Width = roundUp(tile.Cols-first, k.Lanes)
			t.BPitch = 4 * t.Width
		}
		l.right[0] = address(packed[first*cpu.PairRows(streamed.Cols):])
		for r := 0; r < streamed.Rows; r += k.BF16.Rows {
			t.Rows = min(k.BF16.Rows, streamed.Rows-r)
			for i := range k.BF16.Rows {
				l.left[i] = addressBF16(streamed.BF16[(r+min(i, t.Rows-1))*streamed.Pitch:])
			}
			t.C = address(tile.Data[r*tile.Pitch+first:])
			k.BF16.Tile(t)
		}
	}
}

// Accumulate adds Σ_s tile[s][o]·streamed[s][c] to acc[o][c]. If bfloat16 is multiplied, the
// tile is rounded to bfloat16, and acc is in the instruction set's own order until Turn
// brings it into that of rows. acc has a multiple of 16 rows, each a multiple of 16 floats
// long. ReadPast floats behind the tile must be readable; their values do not matter.
func (l *Local) Accumulate(k *cpu.Kernels, acc, tile cpu.Matrix, streamed kernels.Operand) {
	if !multiplies(k, streamed) {
		l.accumulate(k, acc, tile, streamed)
		return
	}
	l.round(k, tile)
	l.accumulateRounded(k, acc, tile, streamed)
}

// AccumulateTurned is Accumulate with the two sides changed: it adds
// Σ_o tile[s][o]·own[o][c] to acc[s][c].
func (l *Local) AccumulateTurned(k *cpu.Kernels, acc, tile cpu.Matrix, own kernels.Operand) {
	if !multiplies(k, own) {
		l.accumulateTurned(k, acc, tile, own)
		return
	}
	l.round(k, tile)
	l.accumulateRoundedTurned(k, acc, tile, own)
}

// AccumulateBoth is Accumulate to sums of own rows and AccumulateTurned to sums of streamed ones.
func (l *Local) AccumulateBoth(k *cpu.Kernels, ownSums, streamedSums, tile cpu.Matrix, streamed, own kernels.Operand) {
	if !multiplies(k, own) {
		l.accumulate(k, ownSums, tile, streamed)
		l.accumulateTurned(k, streamedSums, tile, own)
		return
	}
	l.round(k, tile)
	l.accumulateRounded(k, ownSums, tile, streamed)
	l.accumulateRoundedTurned(k, streamedSums, tile, own)
}

func (l *Local) accumulateTurned(k *cpu.Kernels, acc, tile cpu.Matrix, own kernels.Operand) {
	turned := cpu.Matrix{Data: l.turned, Rows: tile.Cols, Cols: tile.Rows, Pitch: roundUp(tile.Rows, 16)}
	k.Transpose(address(turned.Data), 4*turned.Pitch, address(tile.Data), 4*tile.Pitch, tile.Rows, tile.Cols)
	l.accumulate(k, acc, turned, own)
}

// accumulateRounded and accumulateRoundedTurned take what round made of the tile.
func (l *Local) accumulateRounded(k *cpu.Kernels, acc, tile cpu.Matrix, streamed kernels.Operand) {
	for i := range tile.Rows {
		l.rows[i] = addressBF16(asBF16(l.rounded)[i*tile.Pitch:])
	}
	l.evenRows(tile.Rows)
	k.BF16.Pairs(address(l.pairs), 4*tile.Pitch, &l.rows[0], 0, cpu.PairRows(tile.Rows), tile.Cols)
	l.accumulateBF16(k, acc, tile.Cols, tile.Pitch, streamed)
}

func (l *Local) accumulateRoundedTurned(k *cpu.Kernels, acc, tile cpu.Matrix, own kernels.Operand) {
	pitch := roundUp(tile.Rows, 16)
	PackPairs(k, l.pairs[:cpu.PairRows(tile.Cols)*pitch], asBF16(l.rounded), tile.Cols, tile.Rows, pitch, tile.Pitch)
	l.accumulateBF16(k, acc, tile.Rows, pitch, own)
}

func (l *Local) accumulate(k *cpu.Kernels, acc, tile cpu.Matrix, rows kernels.Operand) {
	t := &l.tileT
	*t = cpu.TileT{A: &l.rows[0], B: address(l.panel), Depth: tile.Rows, CPitch: 4 * acc.Pitch, Accumulate: 1}
	for i := range tile.Rows {
		l.rows[i] = address(tile.Data[i*tile.Pitch:])
	}
	for panel := range panels(k, rows.Cols) {
		valid, padded := panelWidth(k, rows.Cols, panel)
		col := panel * k.TileCols
		kernels.Load(k, cpu.Matrix{Data: l.panel, Rows: rows.Rows, Cols: valid, Pitch: padded}, rows.Part(0, rows.Rows, col, valid))
		t.Width, t.BPitch = padded, 4*padded
		for i := 0; i < tile.Cols; i += tileRows {
			t.AOffset, t.Rows = 4*i, min(tileRows, tile.Cols-i)
			t.C = address(acc.Data[i*acc.Pitch+col:])
			k.TileT(t)
		}
	}
}

// round rounds a tile, and whatever is behind its columns, to bfloat16.
func (l *Local) round(k *cpu.Kernels, tile cpu.Matrix) {
	n := tile.Rows * tile.Pitch
	k.BF16.Narrow(asBF16(l.rounded)[:n], tile.Data[:n])
}

// evenRows completes the addresses of n rows to rows of pairs.
func (l *Local) evenRows(n int) {
	for i := n; i < 2*cpu.PairRows(n); i++ {
		l.rows[i] = addressBF16(l.zeros)
	}
}

// accumulateBF16 adds the product of the tile in pairs, so many columns at a pitch, and rows.
func (l *Local) accumulateBF16(k *cpu.Kernels, acc cpu.Matrix, cols, pitch int, rows kernels.Operand) {
	t := &l.bf16T
	*t = cpu.TileTBF16{APitch: 4 * pitch, B: address(l.panel), Depth: cpu.PairRows(rows.Rows), CPitch: 4 * acc.Pitch, Accumulate: 1}
	l.evenRows(rows.Rows)
	for first := 0; first < rows.Cols; first += k.BF16.Cols {
		valid := min(k.BF16.Cols, rows.Cols-first)
		for i := range rows.Rows {
			l.rows[i] = addressBF16(rows.BF16[i*rows.Pitch+first:])
		}
		t.Width = roundUp(valid, k.Lanes)
		t.BPitch = 4 * t.Width
		k.BF16.Pairs(t.B, t.BPitch, &l.rows[0], 0, t.Depth, valid)
		if k.BF16.Turn != nil {
			k.BF16.Turn(t.B, t.BPitch, t.Depth, t.Width)
		}
		for i := 0; i < cols; i += k.BF16.Rows {
			t.A, t.Rows = address(l.pairs[i:]), min(k.BF16.Rows, cols-i)
			if k.BF16.Turn != nil {
				t.Rows = roundUp(t.Rows, 16)
			}
			t.C = address(acc.Data[i*acc.Pitch+first:])
			k.BF16.TileT(t)
		}
	}
}

// Turn brings sums of rows like these into their order, or back into the instruction
// set's to go on.
func (*Local) Turn(k *cpu.Kernels, acc cpu.Matrix, rows kernels.Operand) {
	if multiplies(k, rows) && k.BF16.Turn != nil {
		k.BF16.Turn(address(acc.Data), 4*acc.Pitch, roundUp(acc.Rows, 16), acc.Pitch)
	}
}

func asBF16(x []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))
}

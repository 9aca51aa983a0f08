package gemm

import (
	"math"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
)

// BF16Transposed is a Transposed of bfloat16 for instruction sets that multiply
// it: pairs are two rows of the output of the product it is the gradient of. Out
// is float32.
type BF16Transposed struct {
	Geometry
	Depth, Width int
	In, Grad     BF16
	Out          cpu.Matrix
	// Accumulate says before each run whether sums join what Out holds; nil: they
	// never do. Instruction sets that turn squares (cpu.BF16.Turn) cannot.
	Accumulate *bool
	Scratch    []float32 // BF16TransposedScratch floats
	Threads    int
	Cut        *kernels.Cut
}

const (
	// mostBlockRows is how many rows are summed in one register at most.
	mostBlockRows = 2 * blockRows
	// sideTiles is how many tiles of input channels are interleaved together at most
	// where a tile is registers: 96 channels, which are whole cache lines.
	sideTiles = 16
	// blockSize is the pairs of a worker's block of the input.
	blockSize = max(blockRows/2*sideTiles*tileRows, mostBlockRows/2*cpu.MaxBF16Rows)
)

// BF16TransposedScratch is the working memory of a weight gradient over so many
// rows, in floats: the gradient in pairs of rows, a block of the input in pairs for
// every worker, and the result where it is not made of whole squares.
func BF16TransposedScratch(rows, taps, depth, width, threads int) int {
	return cpu.PairRows(rows)*roundUp(width, 16) + threads*blockSize + squaresSize(taps, depth, width)
}

// squaresSize is the floats of a copy of the result in whole squares of 16×16,
// nothing where it is made of them itself.
func squaresSize(taps, depth, width int) int {
	if depth%16 == 0 && width%16 == 0 {
		return 0
	}
	return taps * roundUp(depth, 16) * roundUp(width, 16)
}

type bf16TransposedWorker struct {
	tile   cpu.TileTBF16
	rows   [mostBlockRows]uintptr
	block  []float32 // pairs
	square [tileRows * maxWidth]float32
}

// transposedCut is how an instruction set's work is cut into tasks.
type transposedCut struct {
	rows  int // of a block
	side  int // tiles of input channels that are interleaved together
	group int // tiles of input channels of a task
	taps  int // of a task
	wide  int // panels of a task
}

type bf16Transposed struct {
	BF16Transposed
	transposedCut
	kernels     *cpu.Kernels
	bf16        *cpu.BF16
	joins       bool      // sums join what Out holds
	zeros       []uint16  // a row of the input, or of a panel
	packed      []float32 // pairs
	squares     []float32
	workers     []bf16TransposedWorker
	pack, tiles func(task, worker int)
}

// Bind returns the product as a function that allocates nothing.
func (g BF16Transposed) Bind() func(*cpu.Pool) {
	t := &bf16Transposed{BF16Transposed: g, workers: make([]bf16TransposedWorker, g.Threads), zeros: make([]uint16, max(g.Depth, cpu.MaxBF16Cols))}
	rest := g.Scratch
	part := func(n int) []float32 {
		x := rest[:n]
		rest = rest[n:]
		return x
	}
	t.packed = part(cpu.PairRows(t.pixels()) * roundUp(g.Width, 16))
	for i := range t.workers {
		t.workers[i].block = part(blockSize)
	}
	t.squares = part(squaresSize(g.Taps, g.Depth, g.Width))
	t.pack, t.tiles = t.packBlock, t.run
	return func(pool *cpu.Pool) {
		t.kernels, t.bf16 = pool.Kernels(), pool.Kernels().BF16
		t.joins = t.Accumulate != nil && *t.Accumulate
		t.cut()
		pool.Run(t.panels()*t.blocks(), t.pack)
		pool.Run(t.groups()*t.tapGroups()*t.panelGroups(), t.tiles)
	}
}

// cut chooses the size of tasks: many taps, which share the gradient, and many channels,
// which share the search for their rows, as long as there are tasks enough for all threads.
// The order of the sums does not depend on it.
func (t *bf16Transposed) cut() {
	if t.bf16.Turn == nil {
		t.transposedCut = t.cheapest()
	} else {
		t.cutSquares()
	}
	most := min(ceil(t.Depth, t.bf16.Rows), len(t.zeros)/t.bf16.Rows) // channels that rows outside of an image have
	b := t.Cut.Of(kernels.TileSize{Rows: t.group, Columns: t.transposedCut.taps}, kernels.TileSize{Rows: most, Columns: t.Taps})
	t.group, t.transposedCut.taps = b.Rows, b.Columns
}

// cutSquares is cut for tiles that lie in memory.
func (t *bf16Transposed) cutSquares() {
	t.transposedCut = transposedCut{rows: mostBlockRows, side: 1, group: 2, taps: t.Taps, wide: t.panels()}
	enough := 2 * t.Threads
	for t.groups()*t.tapGroups() < enough && t.taps > 1 {
		t.taps = (t.taps + 1) / 2
	}
	for t.groups()*t.tapGroups() < enough && t.group > 1 {
		t.group /= 2
	}
}

// cheapest returns the cut by which the threads are done first.
func (t *bf16Transposed) cheapest() (best transposedCut) {
	least := math.MaxInt
	for group := sideTiles; group > 0; group /= 2 {
		for taps := t.Taps; taps > 0; taps /= 2 {
			for wide := t.panels(); wide > 0; wide /= 2 {
				c := transposedCut{rows: blockRows, side: group, group: group, taps: taps, wide: wide}
				if time := t.time(c); time < least {
					best, least = c, time
				}
			}
		}
	}
	return best
}

// time estimates how long a cut takes. The unit is a quarter of the product of a tile and a
// panel. Finding a block's rows takes about as long as one such product, and so does
// interleaving 64 of its channels. Tasks that are not of full size fill gaps.
func (t *bf16Transposed) time(c transposedCut) int {
	channels := min(c.group*t.bf16.Rows, t.Depth)
	task := func(channels, panels int) int { return 4*ceil(channels, t.bf16.Rows)*panels + 4 + ceil(channels, 16) }
	full := max(1, t.Depth/channels) * (t.Taps / c.taps) * (t.panels() / c.wide)
	longest := ceil(full, t.Threads) * c.taps * task(channels, c.wide)
	inner := func(channels int) int {
		return t.panels()/c.wide*task(channels, c.wide) + min(1, t.panels()%c.wide)*task(channels, t.panels()%c.wide)
	}
	all := t.Depth/channels*inner(channels) + min(1, t.Depth%channels)*inner(t.Depth%channels)
	return max(longest, ceil(t.Taps*all, t.Threads))
}

func (t *bf16Transposed) pixels() int    { return t.Images * t.Rows }
func (t *bf16Transposed) blocks() int    { return ceil(t.pixels(), t.rows) }
func (t *bf16Transposed) panels() int    { return ceil(t.Width, t.bf16.Cols) }
func (t *bf16Transposed) groups() int    { return ceil(t.Depth, t.group*t.bf16.Rows) }
func (t *bf16Transposed) tapGroups() int { return ceil(t.Taps, t.transposedCut.taps) }

func (t *bf16Transposed) panelGroups() int { return ceil(t.panels(), t.wide) }

// panel returns the columns of a panel that exist, those it is padded to, and its rows of pairs.
func (t *bf16Transposed) panel(i int) (valid, padded int, packed []float32) {
	valid = min(t.bf16.Cols, t.Width-i*t.bf16.Cols)
	return valid, roundUp(valid, t.kernels.Lanes), t.packed[i*t.bf16.Cols*cpu.PairRows(t.pixels()):]
}

// pairRows completes a block of n addresses, and returns how many rows of pairs it is.
func (t *bf16Transposed) pairRows(w *bf16TransposedWorker, n int) int {
	pairs := cpu.PairRows(n)
	for i := n; i < 2*pairs; i++ {
		w.rows[i] = addressBF16(t.zeros)
	}
	return pairs
}

// packBlock interleaves a block of rows of the gradient within one panel.
func (t *bf16Transposed) packBlock(task, worker int) {
	panel, r0 := task/t.blocks(), task%t.blocks()*t.rows
	valid, padded, packed := t.panel(panel)
	w := &t.workers[worker]
	n := min(t.rows, t.pixels()-r0)
	for i := range n {
		w.rows[i] = t.Grad.at(r0+i, panel*t.bf16.Cols)
	}
	to, pairs := address(packed[r0/2*padded:]), t.pairRows(w, n)
	t.bf16.Pairs(to, 4*padded, &w.rows[0], 0, pairs, valid)
	if t.bf16.Turn != nil {
		t.bf16.Turn(to, 4*padded, pairs, padded)
	}
}

// run computes one group of input channels for some taps and panels of columns.
func (t *bf16Transposed) run(task, worker int) {
	panel := task % t.panelGroups() * t.wide
	tap0 := task / t.panelGroups() % t.tapGroups() * t.transposedCut.taps
	first := task / t.panelGroups() / t.tapGroups() * t.group * t.bf16.Rows
	taps := min(t.transposedCut.taps, t.Taps-tap0)
	channels := min(t.group*t.bf16.Rows, t.Depth-first)
	side := min(t.side, t.group) * t.bf16.Rows
	w := &t.workers[worker]
	k := &w.tile
	k.APitch = 4 * side
	base, pitch := t.In.at(0, first), uintptr(2*t.In.Pitch)
	for r0 := 0; r0 < t.pixels(); r0 += t.rows {
		n := min(t.rows, t.pixels()-r0)
		for tap := tap0; tap < tap0+taps; tap++ {
			t.Geometry.rows(w.rows[:n], t.bf16.Addresses, r0, tap, base, pitch, addressBF16(t.zeros))
			k.Depth = t.pairRows(w, n)
			for i := 0; i < channels; i += side {
				t.bf16.Pairs(address(w.block), k.APitch, &w.rows[0], 2*i, k.Depth, min(side, channels-i))
				t.multiply(w, tap, first+i, min(side, channels-i), panel, r0)
			}
		}
	}
	if t.bf16.Turn != nil {
		for tap := tap0; tap < tap0+taps; tap++ {
			t.turn(tap, first, channels)
		}
	}
}

// multiply adds the block of the input, so many channels from first on, against some
// panels of the gradient from row r0 on.
func (t *bf16Transposed) multiply(w *bf16TransposedWorker, tap, first, channels, panel, r0 int) {
	k := &w.tile
	k.BPanel = 4 * t.bf16.Cols * cpu.PairRows(t.pixels())
	whole := roundUp(t.Width, t.kernels.Lanes) / t.bf16.Cols
	for last := min(panel+t.wide, t.panels()); panel < last; {
		valid, padded, packed := t.panel(panel)
		n := max(1, min(t.bf16.Panels, whole-panel))
		k.B, k.BPitch, k.Width = address(packed[r0/2*padded:]), 4*padded, n*padded
		for i := 0; i < channels; i += t.bf16.Rows {
			k.A, k.Rows = address(w.block[i:]), min(t.bf16.Rows, channels-i)
			if t.bf16.Turn != nil {
				t.storeSquares(k, tap, first+i, panel*t.bf16.Cols, r0 > 0)
			} else {
				t.store(w, tap*t.Depth+first+i, panel*t.bf16.Cols, valid, t.joins || r0 > 0)
			}
		}
		panel += n
	}
}

func (t *bf16Transposed) store(w *bf16TransposedWorker, row, col, valid int, accumulate bool) {
	k := &w.tile
	out := t.Out.Data[row*t.Out.Pitch+col:]
	if valid == k.Width {
		k.C, k.CPitch, k.Accumulate = address(out), 4*t.Out.Pitch, 0
		if accumulate {
			k.Accumulate = 1
		}
		t.bf16.TileT(k)
		return
	}
	k.C, k.CPitch, k.Accumulate = address(w.square[:]), 4*maxWidth, 0
	t.bf16.TileT(k)
	for i := range k.Rows {
		from, to := w.square[i*maxWidth:][:valid], out[i*t.Out.Pitch:][:valid]
		for j, x := range from {
			if accumulate {
				x += to[j]
			}
			to[j] = x
		}
	}
}

// whole is where sums of whole squares lie until they are turned: the result or,
// where it is not made of them, memory of ours.
func (t *bf16Transposed) whole() (m cpu.Matrix, depth int) {
	if len(t.squares) == 0 {
		return t.Out, t.Depth
	}
	depth = roundUp(t.Depth, 16)
	width := roundUp(t.Width, 16)
	return cpu.Matrix{Data: t.squares, Rows: t.Taps * depth, Cols: width, Pitch: width}, depth
}

func (t *bf16Transposed) storeSquares(k *cpu.TileTBF16, tap, row, col int, accumulate bool) {
	m, depth := t.whole()
	k.Rows = roundUp(k.Rows, 16)
	k.C, k.CPitch, k.Accumulate = address(m.Data[(tap*depth+row)*m.Pitch+col:]), 4*m.Pitch, 0
	if accumulate {
		k.Accumulate = 1
	}
	t.bf16.TileT(k)
}

// turn finishes rows [first, first+channels) of a tap.
func (t *bf16Transposed) turn(tap, first, channels int) {
	m, depth := t.whole()
	rows := m.Data[(tap*depth+first)*m.Pitch:]
	t.bf16.Turn(address(rows), 4*m.Pitch, roundUp(channels, 16), roundUp(t.Width, 16))
	if len(t.squares) == 0 {
		return
	}
	for i := range channels {
		copy(t.Out.Row(tap*t.Depth+first+i), rows[i*m.Pitch:][:t.Width])
	}
}

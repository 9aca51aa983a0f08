package gemm

import (
	"fluxion/kernels/cpu"
)

// HalfTransposed is a Transposed of bfloat16 for instruction sets that multiply
// it: pairs are two rows of the output of the product it is the gradient of. Out
// is float32.
type HalfTransposed struct {
	Geometry
	Depth, Width int
	In, Grad     Half
	Out          cpu.Matrix
	Scratch      []float32 // HalfTransposedScratch floats
	Threads      int
}

const (
	blockPairs = blockRows / 2
	// Tasks of whole rows of panels are long: this many can be balanced.
	enoughHalfTasks = 24
	// groupPitch is the pairs of a row of a worker's block of the input.
	groupPitch = groupTiles * tileRows
)

// HalfTransposedScratch is the working memory of a weight gradient over so many
// rows, in floats: the gradient in pairs of rows, and a block of the input in
// pairs for every worker.
func HalfTransposedScratch(rows, width, threads int) int {
	return pairsOf(rows)*roundUp(width, 16) + threads*blockPairs*groupPitch
}

type halfTransposedWorker struct {
	tile   cpu.TileTHalf
	rows   [blockRows]uintptr
	block  []float32 // pairs
	square [tileRows * maxWidth]float32
}

type halfTransposed struct {
	HalfTransposed
	split       transposed // how the work is cut
	kernels     *cpu.Kernels
	zeros       [maxWidth]uint16
	packed      []float32 // pairs
	workers     []halfTransposedWorker
	pack, tiles func(task, worker int)
}

// Bind returns the product as a function that allocates nothing.
func (g HalfTransposed) Bind() func(*cpu.Pool) {
	t := &halfTransposed{HalfTransposed: g, workers: make([]halfTransposedWorker, g.Threads)}
	t.split.Geometry, t.split.Depth = g.Geometry, g.Depth
	size := pairsOf(t.pixels()) * roundUp(g.Width, 16)
	t.packed = g.Scratch[:size]
	for i := range t.workers {
		t.workers[i].block = g.Scratch[size+i*blockPairs*groupPitch:][:blockPairs*groupPitch]
	}
	t.pack, t.tiles = t.packBlock, t.run
	return func(pool *cpu.Pool) {
		t.kernels = pool.Kernels()
		t.split.partition(1, enoughHalfTasks)
		pool.Run(panels(t.kernels, t.Width)*t.blocks(), t.pack)
		pool.Run(t.split.groups()*t.split.tapGroups(), t.tiles)
	}
}

func (t *halfTransposed) pixels() int { return t.Images * t.Rows }
func (t *halfTransposed) blocks() int { return (t.pixels() + blockRows - 1) / blockRows }

// panel returns the columns of a panel that exist, those it is padded to, and its rows of pairs.
func (t *halfTransposed) panel(i int) (valid, padded int, packed []float32) {
	valid, padded = panelWidth(t.kernels, t.Width, i)
	return valid, padded, t.packed[i*t.kernels.TileCols*pairsOf(t.pixels()):]
}

// pairRows completes a block of n addresses to whole pairs, and returns how many there are.
func (t *halfTransposed) pairRows(w *halfTransposedWorker, n int) int {
	if n%2 == 1 {
		w.rows[n] = addressHalf(t.zeros[:])
	}
	return pairsOf(n)
}

// packBlock interleaves a block of rows of the gradient within one panel.
func (t *halfTransposed) packBlock(task, worker int) {
	panel, r0 := task/t.blocks(), task%t.blocks()*blockRows
	valid, padded, packed := t.panel(panel)
	w := &t.workers[worker]
	n := min(blockRows, t.pixels()-r0)
	for i := range n {
		w.rows[i] = t.Grad.at(r0+i, panel*t.kernels.TileCols)
	}
	t.kernels.Half.Pairs(address(packed[r0/2*padded:]), 4*padded, &w.rows[0], t.pairRows(w, n), valid)
}

// run computes one group of input channels for some taps: all panels of columns,
// since to interleave the input is worth it for many.
func (t *halfTransposed) run(task, worker int) {
	s := &t.split
	group, tap0 := task%s.groups(), task/s.groups()*s.taps
	w := &t.workers[worker]
	k := &w.tile
	k.APitch = 4 * groupPitch
	first := group * s.group * tileRows
	channels := min(s.group*tileRows, t.Depth-first)
	base, pitch := t.In.at(0, first), uintptr(2*t.In.Pitch)
	for r0 := 0; r0 < t.pixels(); r0 += blockRows {
		n := min(blockRows, t.pixels()-r0)
		for tap := tap0; tap < min(tap0+s.taps, t.Taps); tap++ {
			t.Geometry.rows(w.rows[:n], r0, tap, base, pitch, addressHalf(t.zeros[:]))
			k.Depth = t.pairRows(w, n)
			t.kernels.Half.Pairs(address(w.block), 4*groupPitch, &w.rows[0], k.Depth, channels)
			for panel := range panels(t.kernels, t.Width) {
				valid, padded, packed := t.panel(panel)
				k.B, k.BPitch, k.Width = address(packed[r0/2*padded:]), 4*padded, padded
				for i := 0; i < channels; i += tileRows {
					k.A, k.Rows = address(w.block[i:]), min(tileRows, channels-i)
					t.store(w, tap*t.Depth+first+i, panel*t.kernels.TileCols, valid, r0 > 0)
				}
			}
		}
	}
}

func (t *halfTransposed) store(w *halfTransposedWorker, row, col, valid int, accumulate bool) {
	k := &w.tile
	out := t.Out.Data[row*t.Out.Pitch+col:]
	if valid == k.Width {
		k.C, k.CPitch, k.Accumulate = address(out), 4*t.Out.Pitch, 0
		if accumulate {
			k.Accumulate = 1
		}
		t.kernels.Half.TileT(k)
		return
	}
	k.C, k.CPitch, k.Accumulate = address(w.square[:]), 4*maxWidth, 0
	t.kernels.Half.TileT(k)
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

package conv

import (
	"unsafe"

	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"
)

// Winograd's convolution F(2, 3) in one dimension, down the columns of images of
// bfloat16: four rows of the input that overlap by two are transformed, so that 4
// products along the rows, each of 3 taps, give two rows of the output: 12
// multiplications instead of 18. Transforms and sums are float32. Its relative
// error on normal numbers is 3.3e-3, that of the plain product, which is the
// rounding of the result, 1.7e-3; F(2×2, 3×3) would have 4.3e-3.

const (
	linePlaces = 4
	lineTaps   = 3 // along a row, of each place
	// Positions of a block: their products stay in the cache while weights pass.
	// 96 is whole tiles and whole rows of most images.
	blockPositions = 96
	// packLines is how many lines of weights are transformed at a time.
	packLines = 64
	// Transforms cost as much as this many channels of products.
	leastHalfChannels = 32
)

// winogradHalf says whether the convolution is computed so where the instruction
// set has it. It depends on the shape of an image alone.
func (s size) winogradHalf() bool {
	return s.kh == 3 && s.kw == 3 && s.Options == Same(3) && s.h > 1 && s.cin >= leastHalfChannels && s.cout >= leastHalfChannels
}

// strips are pairs of rows of images. The last of an image of odd height is half outside.
type strips struct{ images, h, w, each int } // each: of an image

func (s size) strips() strips { return strips{s.n, s.h, s.w, (s.h + 1) / 2} }

func (s strips) count() int { return s.images * s.each }

// rows writes the addresses of the rows of a strip, from its first less border
// on; those outside the image are elsewhere's.
func (s strips) rows(to []uintptr, m gemm.Half, col, strip, border int, elsewhere uintptr) {
	image, first := strip/s.each, strip%s.each*2-border
	for i := range to {
		if y := first + i; y < 0 || y >= s.h || strip >= s.count() {
			to[i] = elsewhere
		} else {
			to[i] = addressHalf(m.Data[(image*s.h+y)*s.w*m.Pitch+col:])
		}
	}
}

// whole lets a step map a row of an image, so many columns wide: as one line if
// it is dense. Out is dense.
func (s strips) whole(l *cpu.HalfLines, pitch, columns int) {
	l.Count, l.Columns, l.InPitch, l.OutPitch = s.w, columns, 2*pitch, 2*columns
	if pitch == columns {
		l.Count, l.Columns = 1, s.w*columns
	}
}

// outside is a row that is not in the image.
func (s strips) outside(m gemm.Half) []uint16 { return make([]uint16, s.w*m.Pitch) }

func addressHalf(s []uint16) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }

// asHalf is memory for twice as many elements of bfloat16.
func asHalf(s []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(s))), 2*len(s))
}

// halfWinograd is a convolution, or the gradient of its input, bound to its operands.
type halfWinograd struct {
	strips
	depth, width int
	in, out, add gemm.Half
	weights      gemm.Weights
	turned       bool // taps in reverse order, columns of weights behind each other: the gradient of the input
	bias         []float32
	perImage     cpu.Matrix
	packing      gemm.Packing

	kernels *cpu.Kernels
	half    *cpu.Half
	block   int // strips of a block
	groups  int // of panels, each a task of its own
	packed  []float32
	biases  []float32 // a row for each image
	zeros   []uint16
	outside []uint16
	workers []halfWinogradWorker
	pack    func(task, worker int)
	run     func(task, worker int)
}

type halfWinogradWorker struct {
	v, taps []uint16  // transformed rows, weights
	m       []float32 // products of a panel
	spare   [panelCols]uint16
	in, out [linePlaces]uintptr
	adds    [2]uintptr
	rows    []uintptr // of every place, tile and tap
	panel   [linePlaces * lineTaps]uintptr
	pairs   [packLines]uintptr
	lines   cpu.HalfLines
	tile    cpu.TileHalf
}

// halfWinogradPacked is the floats of the packed weights.
func halfWinogradPacked(depth, width int) int {
	return gemm.HalfProductPacked(linePlaces*lineTaps, depth, width)
}

// halfWinogradSizes is the floats of the packed weights, the biases and of what a worker has.
func halfWinogradSizes(s strips, depth, width int) (packed, biases, v, m, taps int) {
	positions := s.block() * s.w
	v = linePlaces * (roundUp((positions*depth+1)/2, 16) + gap)
	m = linePlaces * ((positions+cpu.MaxHalfRows)*panelCols + gap)
	return halfWinogradPacked(depth, width), s.images * roundUp(width, 16), v, m, linePlaces * packLines * panelCols / 2
}

func halfWinogradScratch(s strips, depth, width, threads int) int {
	packed, biases, v, m, taps := halfWinogradSizes(s, depth, width)
	return packed + biases + threads*(v+m+taps)
}

// block is how many strips are transformed together, in threes where that is whole tiles.
func (s strips) block() int { return max(1, blockPositions/s.w) }

// bind returns the convolution as a function that allocates nothing.
func (w *halfWinograd) bind(scratch []float32, threads int) func(*cpu.Pool) {
	packed, biases, v, m, taps := halfWinogradSizes(w.strips, w.depth, w.width)
	take := func(n int) []float32 {
		part := scratch[:n:n]
		scratch = scratch[n:]
		return part
	}
	if w.packed = w.packing.Packed; w.packed == nil {
		w.packed = take(packed)
	}
	w.biases = take(biases)
	w.block = w.strips.block()
	w.zeros, w.outside = make([]uint16, max(w.depth, panelCols)), w.strips.outside(w.in)
	w.workers = make([]halfWinogradWorker, threads)
	for i := range w.workers {
		t := &w.workers[i]
		t.v, t.m, t.taps = asHalf(take(v)), take(m), asHalf(take(taps))
		t.rows = make([]uintptr, linePlaces*lineTaps*(w.block*w.w+cpu.MaxHalfRows))
	}
	w.pack, w.run = w.packTask, w.blockTask
	return func(p *cpu.Pool) {
		if w.kernels != p.Kernels() {
			w.kernels, w.half = p.Kernels(), p.Kernels().Half
			w.findRows()
		}
		if !w.packing.Runs(func() { p.Run(w.panels()*lineTaps*w.parts(), w.pack) }) {
			return
		}
		w.sumBiases()
		w.groups = 1
		for w.blocks()*w.groups < 4*threads && 2*w.groups <= w.panels() {
			w.groups *= 2
		}
		p.Run(w.blocks()*w.groups, w.run)
	}
}

func (w *halfWinograd) blocks() int { return (w.count() + w.block - 1) / w.block }
func (w *halfWinograd) panels() int { return (w.width + w.half.Cols - 1) / w.half.Cols }
func (w *halfWinograd) parts() int  { return (2*cpu.PairRows(w.depth) + packLines - 1) / packLines }
func (w *halfWinograd) vPlace() int { return len(w.workers[0].v) / linePlaces }
func (w *halfWinograd) mPlace() int { return len(w.workers[0].m) / linePlaces }

// panel returns the columns of a panel that exist, those it is padded to, and its packed weights.
func (w *halfWinograd) panel(i int) (valid, padded int, packed []float32) {
	valid = min(w.half.Cols, w.width-i*w.half.Cols)
	return valid, roundUp(valid, w.kernels.Lanes), w.packed[i*w.half.Cols*linePlaces*lineTaps*cpu.PairRows(w.depth):]
}

// findRows lists the addresses of the transformed rows that meet each position of
// a block, tile by tile: they are the same for all blocks.
func (w *halfWinograd) findRows() {
	positions, rows := w.block*w.w, w.half.Rows
	for i := range w.workers {
		t := &w.workers[i]
		at := 0
		for place := range linePlaces {
			base := addressHalf(t.v[place*w.vPlace():])
			for first := 0; first < positions; first += rows {
				for tap := range lineTaps {
					for r := range rows {
						position := min(first+r, positions-1)
						t.rows[at] = addressHalf(w.zeros)
						if x := position%w.w + tap - 1; x >= 0 && x < w.w {
							t.rows[at] = base + uintptr(2*(position+tap-1)*w.depth)
						}
						at++
					}
				}
			}
		}
	}
}

func (w *halfWinograd) sumBiases() {
	for n := range w.images {
		row := w.biases[n*w.width:][:w.width]
		clear(row)
		copy(row, w.bias)
		if w.perImage.Data != nil {
			for j, b := range w.perImage.Row(n) {
				row[j] += b
			}
		}
	}
}

// packTask transforms some rows of the weights of one panel and tap, and lays them
// out in pairs: [place][tap][pairs][columns].
func (w *halfWinograd) packTask(task, worker int) {
	t := &w.workers[worker]
	index, task := task/(lineTaps*w.parts()), task%(lineTaps*w.parts())
	tap, first := task/w.parts(), task%w.parts()*packLines
	valid, padded, packed := w.panel(index)
	col, n := index*w.half.Cols, max(0, min(packLines, w.depth-first))
	pairs := min(packLines/2, cpu.PairRows(w.depth)-first/2)
	l := &t.lines
	*l = cpu.HalfLines{In: &t.in[0], Out: &t.out[0], InPitch: 4 * w.weights.DepthStride, OutPitch: 2 * panelCols, Count: n, Columns: valid}
	if w.turned {
		l.InPitch, l.Count, l.Columns = 4*w.weights.ColStride, valid, n
	}
	for i := range linePlaces {
		t.out[i] = addressHalf(t.taps[i*packLines*panelCols:])
	}
	if n > 0 {
		for i := range lineTaps {
			at := i*lineTaps + tap
			if w.turned {
				at = lineTaps*lineTaps - 1 - at
			}
			t.in[i] = address(w.weights.Data[at*w.weights.TapStride+col*w.weights.ColStride+first*w.weights.DepthStride:])
		}
		w.half.Winograd.Weights(l)
	}
	for place := range linePlaces {
		from := t.taps[place*packLines*panelCols:]
		to := packed[((place*lineTaps+tap)*cpu.PairRows(w.depth)+first/2)*padded:][:pairs*padded]
		if w.turned {
			gemm.PackPairs(w.kernels, to, from, n, valid, padded, packLines)
			continue
		}
		for i := range 2 * pairs {
			t.pairs[i] = addressHalf(w.zeros)
			if i < n {
				t.pairs[i] = addressHalf(from[i*panelCols:])
			}
		}
		w.half.Pairs(address(to), 4*padded, &t.pairs[0], 0, pairs, valid)
	}
}

// blockTask computes a block of strips for a group of panels.
func (w *halfWinograd) blockTask(task, worker int) {
	t := &w.workers[worker]
	group, first := task%w.groups, task/w.groups*w.block
	n := min(w.block, w.count()-first)
	l := &t.lines
	*l = cpu.HalfLines{In: &t.in[0], Out: &t.out[0]}
	w.whole(l, w.in.Pitch, w.depth)
	for i := range n {
		w.rows(t.in[:], w.in, 0, first+i, 1, addressHalf(w.outside))
		for p := range linePlaces {
			t.out[p] = addressHalf(t.v[p*w.vPlace()+i*w.w*w.depth:])
		}
		w.half.Winograd.Input(l)
	}
	panels := w.panels()
	for i := group * panels / w.groups; i < (group+1)*panels/w.groups; i++ {
		w.products(t, i, n*w.w)
		for strip := range n {
			w.results(t, i, first, strip)
		}
	}
}

// products multiplies the transformed rows with one panel, place by place.
func (w *halfWinograd) products(t *halfWinogradWorker, panel, positions int) {
	_, padded, packed := w.panel(panel)
	for i := range t.panel {
		t.panel[i] = address(packed[i*cpu.PairRows(w.depth)*padded:])
	}
	k := &t.tile
	*k = cpu.TileHalf{Taps: lineTaps, Depth: w.depth, BPitch: 4 * padded, CPitch: 4 * panelCols, Width: padded, Float32: 1}
	rows := w.half.Rows
	tiles := (w.block*w.w + rows - 1) / rows
	for p := range linePlaces {
		k.B = &t.panel[p*lineTaps]
		m := address(t.m[p*w.mPlace():])
		for i := 0; i < positions; i += rows {
			k.A = &t.rows[(p*tiles+i/rows)*lineTaps*rows]
			k.Rows = min(rows, positions-i)
			k.C = m + uintptr(4*i*panelCols)
			w.half.Tile(k)
		}
	}
}

// results turns products into the two rows of a strip.
func (w *halfWinograd) results(t *halfWinogradWorker, panel, first, strip int) {
	valid, _, _ := w.panel(panel)
	col := panel * w.half.Cols
	l := &t.lines
	*l = cpu.HalfLines{
		In: &t.in[0], Out: &t.out[0], InPitch: 4 * panelCols, OutPitch: 2 * w.out.Pitch, AddPitch: 2 * w.add.Pitch,
		Count: w.w, Columns: valid, Bias: address(w.biases[(first+strip)/w.each*w.width+col:]),
	}
	for p := range linePlaces {
		t.in[p] = address(t.m[p*w.mPlace()+strip*w.w*panelCols:])
	}
	w.rows(t.out[:2], w.out, col, first+strip, 0, 0)
	if w.add.Data != nil {
		l.Add = &t.adds[0]
		w.rows(t.adds[:], w.add, col, first+strip, 0, addressHalf(w.zeros))
	}
	if t.out[1] != 0 {
		w.half.Winograd.Output(l)
		return
	}
	// The second row is outside of the image: pixel by pixel, into memory of ours.
	l.Count, t.out[1], t.adds[1] = 1, addressHalf(t.spare[:]), addressHalf(w.zeros)
	for range w.w {
		w.half.Winograd.Output(l)
		t.out[0] += uintptr(l.OutPitch)
		t.adds[0] += uintptr(l.AddPitch)
		for p := range linePlaces {
			t.in[p] += uintptr(l.InPitch)
		}
	}
}

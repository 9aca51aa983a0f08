package conv

import (
	"unsafe"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"
)

// Winograd's convolution F(2×2, 3×3) in bfloat16. Transforms and sums are float32; factors
// are rounded to bfloat16 with feedback: each rounding error is passed on to the next number
// that is rounded (cpu.BF16Squares). On normally distributed numbers the relative error is
// 3.6e-3, without feedback 4.2e-3, and that of a plain convolution, which only rounds its
// result, 1.7e-3.

const (
	// Bytes of a block's transformed squares and of their products with a panel: they
	// stay in a core's cache while weights pass.
	bf16BlockBytes  = 512 << 10
	mostBF16Squares = 96 // of a block
	leastBF16Block  = 16 // of a block that is cut smaller for more tasks
	// packLines is how many lines of weights are transformed at a time.
	packLines = 32
	// tapPlace is the elements of a place of these, apart by what gap is.
	tapPlace = packLines*panelCols + 2*gap
	// Transforms cost as much as this many channels of products.
	leastBF16Channels = 32
	// Weights have to be read for so many squares at least, or plain ones are faster.
	fewestSquares = 12
)

// winogradBF16 says whether the convolution is computed so where the instruction
// set has it, in training. It depends on the shape alone.
func (s size) winogradBF16() bool {
	return s.eachWinogradBF16() && s.squares().count() >= fewestSquares
}

// eachWinogradBF16 says whether it is in making pictures, which do not depend on how many are
// made together.
func (s size) eachWinogradBF16() bool {
	return s.same3() && s.h > 1 && s.w > 1 && s.cin >= leastBF16Channels && s.cout >= leastBF16Channels
}

func addressBF16(s []uint16) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }

// asBF16 is memory for twice as many elements of bfloat16.
func asBF16(s []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(s))), 2*len(s))
}

// together is how many squares can be transformed in one call, from this one on and before
// end: those in the same row of squares, all of whose columns lie in the image. It is 1 if not
// even this one does. With a border, rows above and below the image are no hindrance.
func (s squares) together(v view, square, end int) int {
	at := square % s.each
	x, y := v.step*(at%s.across)-v.border, v.step*(at/s.across)
	if x < 0 || x+v.side > v.w || v.border == 0 && y+v.side > v.h {
		return 1
	}
	return min(end-square, (v.w-v.side-x)/v.step+1)
}

// bf16Pixels writes the addresses of the pixels of a square. Those outside of the image are
// elsewhere, those of rows above and below it further on by a pitch of their own.
func (s squares) bf16Pixels(to []uintptr, v view, m gemm.BF16, col, square int, elsewhere, rowPitch uintptr) {
	image, at := square/s.each, square%s.each
	y0, x0 := v.step*(at/s.across)-v.border, v.step*(at%s.across)-v.border
	for i := range v.side {
		row, pitch := elsewhere, rowPitch
		if y := y0 + i; y >= 0 && y < v.h {
			row, pitch = addressBF16(m.Data[(image*v.h+y)*v.w*m.Pitch+col:]), uintptr(2*m.Pitch)
		}
		for j := range v.side {
			to[i*v.side+j] = elsewhere
			if x := x0 + j; x >= 0 && x < v.w {
				to[i*v.side+j] = row + uintptr(x)*pitch
			}
		}
	}
}

// bf16Winograd is a convolution, or the gradient of its input, bound to its operands.
type bf16Winograd struct {
	squares
	depth, width int
	x, y, add    gemm.BF16 // input, result
	weights      gemm.Weights
	turned       bool // taps in reverse order, columns of weights behind each other: the gradient of the input
	bias         []float32
	perImage     cpu.Matrix
	packing      gemm.Packing
	cut          *kernels.Cut

	kernels *cpu.Kernels
	bf16    *cpu.BF16
	steps   *cpu.BF16Squares
	most    int // squares of a block for which there is memory
	block   int // squares of a block
	groups  int // of panels, each a task of its own
	packed  []float32
	biases  []float32 // a row for each image
	outside []uint16  // a row of pixels
	workers []bf16WinogradWorker
	pack    func(task, worker int)
	run     func(task, worker int)
}

type bf16WinogradWorker struct {
	v, taps []uint16  // transformed squares, weights
	m       []float32 // products of a panel
	spare   [panelCols]uint16
	in, out [maxPlaces]uintptr
	adds    [4]uintptr
	rows    []uintptr // of every place and tile
	panel   uintptr
	pairs   [packLines]uintptr
	lines   cpu.BF16Lines
	tile    cpu.TileBF16
}

// bf16Packed is the floats of the packed weights.
func (s squares) bf16Packed(depth, width int) int {
	return gemm.BF16ProductPacked(s.places, depth, width)
}

// bf16WinogradSizes is the floats of the packed weights, the biases and of what a worker has.
func bf16WinogradSizes(s squares, depth, width, threads int) (packed, biases, v, m, taps int) {
	block := s.bf16Block(depth, threads)
	v = s.places * (roundUp((block*depth+1)/2, 16) + gap)
	m = s.places * (roundUp(block, cpu.TileRows)*panelCols + gap)
	return s.bf16Packed(depth, width), roundUp(s.images*roundUp(width, 16), 16), v, m, s.places * tapPlace / 2
}

func bf16WinogradScratch(s squares, depth, width, threads int) int {
	packed, biases, v, m, taps := bf16WinogradSizes(s, depth, width, threads)
	return packed + biases + threads*(v+m+taps)
}

// bf16Block is how many squares are transformed together: as many as stay in the cache, or
// fewer where there would be too few tasks, in blocks alike and of whole tiles.
func (s squares) bf16Block(depth, threads int) int {
	most := min(max(bf16BlockBytes/(s.places*(2*depth+4*panelCols)), cpu.TileRows), mostBF16Squares)
	blocks := ceil(s.count(), most/cpu.TileRows*cpu.TileRows)
	if wanted := tasksPerThread * threads; blocks < wanted {
		blocks = max(blocks, min(wanted, s.count()/leastBF16Block))
	}
	return roundUp(ceil(s.count(), blocks), cpu.TileRows)
}

const tasksPerThread = 4

// bind returns the convolution as a function that allocates nothing.
func (w *bf16Winograd) bind(scratch []float32, threads int) func(*cpu.Pool) {
	packed, biases, v, m, taps := bf16WinogradSizes(w.squares, w.depth, w.width, threads)
	take := func(n int) []float32 {
		part := scratch[:n:n]
		scratch = scratch[n:]
		return part
	}
	if w.packed = w.packing.Packed; w.packed == nil {
		w.packed = take(packed)
	}
	w.biases = take(biases)
	w.most = w.bf16Block(w.depth, threads)
	w.outside = make([]uint16, max(w.in.w*w.x.Pitch, w.add.Pitch, panelCols))
	w.workers = make([]bf16WinogradWorker, threads)
	for i := range w.workers {
		t := &w.workers[i]
		t.v, t.m, t.taps = asBF16(take(v)), take(m), asBF16(take(taps))
		t.rows = make([]uintptr, w.places*w.most)
		for at := range t.rows { // tile by tile
			t.rows[at] = addressBF16(t.v[at/w.most*w.vPlace()+at%w.most*w.depth:])
		}
	}
	w.pack, w.run = w.packTask, w.blockTask
	return func(p *cpu.Pool) {
		w.kernels, w.bf16, w.steps = p.Kernels(), p.Kernels().BF16, w.bf16Of(p.Kernels().BF16)
		if !w.packing.Runs(func() { p.Run(w.panels()*w.parts(), w.pack) }) {
			return
		}
		w.sumBiases()
		w.divide(threads)
		p.Run(w.blocks()*w.groups, w.run)
	}
}

// divide makes tasks of a block of squares and all panels, or of fewer panels where
// there would be too few tasks.
func (w *bf16Winograd) divide(threads int) {
	w.block, w.groups = w.most, 1
	for w.blocks()*w.groups < tasksPerThread*threads && 2*w.groups <= w.panels() {
		w.groups *= 2
	}
	tiles := w.most / cpu.TileRows
	b := w.cut.Of(kernels.TileSize{Rows: tiles, Columns: ceil(w.panels(), w.groups)}, kernels.TileSize{Rows: tiles, Columns: w.panels()})
	w.block, w.groups = b.Rows*cpu.TileRows, ceil(w.panels(), b.Columns)
}

func (w *bf16Winograd) blocks() int { return ceil(w.count(), w.block) }
func (w *bf16Winograd) panels() int { return ceil(w.width, w.bf16.Cols) }
func (w *bf16Winograd) parts() int  { return ceil(2*cpu.PairRows(w.depth), packLines) }
func (w *bf16Winograd) vPlace() int { return len(w.workers[0].v) / w.places }
func (w *bf16Winograd) mPlace() int { return len(w.workers[0].m) / w.places }

// panel returns the columns of a panel that exist, those it is padded to, and its packed weights.
func (w *bf16Winograd) panel(i int) (valid, padded int, packed []float32) {
	valid = min(w.bf16.Cols, w.width-i*w.bf16.Cols)
	return valid, roundUp(valid, w.kernels.Lanes), w.packed[i*w.bf16.Cols*w.places*cpu.PairRows(w.depth):]
}

func (w *bf16Winograd) sumBiases() {
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

// packTask transforms some lines of the weights of one panel, and lays them out in
// pairs: [place][pairs][columns].
func (w *bf16Winograd) packTask(task, worker int) {
	t := &w.workers[worker]
	index, first := task/w.parts(), task%w.parts()*packLines
	valid, padded, packed := w.panel(index)
	n, pairs := min(packLines, w.depth-first), packLines/2 // as many lines as PairRows rounds to
	l := &t.lines
	*l = cpu.BF16Lines{In: &t.in[0], Out: &t.out[0], InPitch: 4 * w.weights.DepthStride, OutPitch: 2 * panelCols, Count: n, Columns: valid}
	if w.turned {
		l.InPitch, l.OutPitch, l.Count, l.Columns = 4*w.weights.ColStride, 2*packLines, valid, n
	}
	for i := range w.places {
		t.out[i] = addressBF16(t.taps[i*tapPlace:])
	}
	for i := range 9 {
		at := i
		if w.turned {
			at = 8 - i
		}
		t.in[i] = address(w.weights.Data[at*w.weights.TapStride+index*w.bf16.Cols*w.weights.ColStride+first*w.weights.DepthStride:])
	}
	w.steps.Weights(l)
	for place := range w.places {
		from := t.taps[place*tapPlace:]
		to := packed[(place*cpu.PairRows(w.depth)+first/2)*padded:][:pairs*padded]
		if w.turned {
			gemm.PackPairs(w.kernels, to, from, n, valid, padded, packLines)
			continue
		}
		for i := range 2 * pairs {
			t.pairs[i] = addressBF16(w.outside)
			if i < n {
				t.pairs[i] = addressBF16(from[i*panelCols:])
			}
		}
		w.bf16.Pairs(address(to), 4*padded, &t.pairs[0], 0, pairs, valid)
	}
}

// blockTask computes a block of squares for a group of panels.
func (w *bf16Winograd) blockTask(task, worker int) {
	t := &w.workers[worker]
	group, first := task%w.groups, task/w.groups*w.block
	last := min(first+w.block, w.count())
	w.transform(t, first, last)
	panels := w.panels()
	for i := group * panels / w.groups; i < (group+1)*panels/w.groups; i++ {
		w.products(t, i, last-first)
		w.results(t, i, first, last)
	}
}

func (w *bf16Winograd) transform(t *bf16WinogradWorker, first, last int) {
	l := &t.lines
	*l = cpu.BF16Lines{In: &t.in[0], Out: &t.out[0], InPitch: 2 * w.in.step * w.x.Pitch, OutPitch: 2 * w.depth, Columns: w.depth}
	for i := first; i < last; i += l.Count {
		l.Count = w.together(w.in, i, last)
		w.bf16Pixels(t.in[:], w.in, w.x, 0, i, addressBF16(w.outside), uintptr(2*w.x.Pitch))
		for p := range w.places {
			t.out[p] = addressBF16(t.v[p*w.vPlace()+(i-first)*w.depth:])
		}
		w.steps.Input(l)
	}
}

// products multiplies n transformed squares with one panel, place by place.
func (w *bf16Winograd) products(t *bf16WinogradWorker, panel, n int) {
	_, padded, packed := w.panel(panel)
	k := &t.tile
	*k = cpu.TileBF16{B: &t.panel, Taps: 1, Depth: w.depth, BPitch: 4 * padded, CPitch: 4 * panelCols, Width: padded, Float32: 1}
	for p := range w.places {
		t.panel = address(packed[p*cpu.PairRows(w.depth)*padded:])
		m := address(t.m[p*w.mPlace():])
		for i := 0; i < n; i += w.bf16.Rows {
			k.A = &t.rows[p*w.most+i]
			k.Rows = min(w.bf16.Rows, n-i)
			k.C = m + uintptr(4*i*panelCols)
			w.bf16.Tile(k)
		}
	}
}

// results turns products into squares of the output.
func (w *bf16Winograd) results(t *bf16WinogradWorker, panel, first, last int) {
	valid, _, _ := w.panel(panel)
	col := panel * w.bf16.Cols
	l := &t.lines
	*l = cpu.BF16Lines{
		In: &t.in[0], Out: &t.out[0], InPitch: 4 * panelCols, OutPitch: 2 * w.out.step * w.y.Pitch, AddPitch: 2 * w.out.step * w.add.Pitch, Columns: valid,
	}
	if w.add.Data != nil {
		l.Add = &t.adds[0]
	}
	for i := first; i < last; i += l.Count {
		l.Count = w.together(w.out, i, last)
		l.Bias = address(w.biases[i/w.each*w.width+col:])
		for p := range w.places {
			t.in[p] = address(t.m[p*w.mPlace()+(i-first)*panelCols:])
		}
		w.bf16Pixels(t.out[:], w.out, w.y, col, i, addressBF16(t.spare[:]), 0)
		if w.add.Data != nil {
			w.bf16Pixels(t.adds[:], w.out, w.add, col, i, addressBF16(w.outside), 0)
		}
		w.steps.Output(l)
	}
}

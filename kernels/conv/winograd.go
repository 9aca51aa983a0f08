package conv

import (
	"unsafe"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"
)

// Winograd's convolution F(2×2, 3×3): squares of 4×4 input pixels, overlapping by two, are
// transformed; 16 matrix products, one for each place in the square, follow; and their
// results are transformed to squares of 2×2 output pixels. That is 16 multiplications
// instead of 36 (Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
// The error is about that of the plain sum. Where the image is upsampled first, squares
// are 3×3 pixels of the small image, and 9 products are left.

const (
	maxPlaces  = 16 // of a transformed square
	panelCols  = 64 // widest panel of any instruction set
	blockBytes = 384 << 10
	// gap keeps the places of a square out of each other's cache sets.
	gap = 16
	// Transforms cost as much as this many channels of products.
	leastChannels = 16
)

// winograd says whether the convolution is computed so. It depends on the shape
// alone, so that results do not depend on the machine's threads.
func (s size) winograd() bool {
	return s.same3() && s.h > 1 && s.w > 1 && s.cin >= leastChannels && s.cout >= leastChannels
}

// same3 says whether 3×3 weights keep the size of the image they meet.
func (s size) same3() bool {
	o := s.Options
	o.upsampled = false
	return s.kh == 3 && s.kw == 3 && o == Same(3)
}

func ceil(a, b int) int { return (a + b - 1) / b }

func roundUp(n, to int) int { return (n + to - 1) / to * to }

func address(s []float32) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }

// view is squares of images: square (y, x) begins at pixel (step·y − border, step·x − border).
type view struct{ h, w, side, step, border int }

// squares is how images are cut, and what is computed on them.
type squares struct {
	images, across, each int // across: squares in a row; each: of an image
	in, out              view
	places               int
	of                   func(*cpu.Kernels) *cpu.Winograd
	bf16Of               func(*cpu.BF16) *cpu.BF16Squares
}

// squares are those of the convolution and, in and out the other way round but for
// the border, of the gradient of its weights.
func (s size) squares() squares {
	across, down := (s.w+1)/2, (s.h+1)/2
	q := squares{images: s.n, across: across, each: across * down, out: view{s.h, s.w, 2, 2, 0}}
	if s.upsampled {
		q.in, q.places = view{s.h / 2, s.w / 2, 3, 1, 1}, 9
		q.of = func(k *cpu.Kernels) *cpu.Winograd { return &k.Upsampled }
		q.bf16Of = func(h *cpu.BF16) *cpu.BF16Squares { return h.Upsampled }
		return q
	}
	q.in, q.places = view{s.h, s.w, 4, 2, 1}, 16
	q.of = func(k *cpu.Kernels) *cpu.Winograd { return &k.Winograd }
	q.bf16Of = func(h *cpu.BF16) *cpu.BF16Squares { return h.Squares }
	return q
}

// gradSquares are those of the gradient of the input.
func (s size) gradSquares() squares {
	q := s.squares()
	if s.upsampled {
		q.in, q.out = view{s.h, s.w, 4, 2, 1}, view{s.h / 2, s.w / 2, 1, 1, 0}
		q.of = func(k *cpu.Kernels) *cpu.Winograd { return &k.UpsampledGrad }
		q.bf16Of = func(h *cpu.BF16) *cpu.BF16Squares { return h.UpsampledGrad }
	}
	return q
}

func (s squares) count() int { return s.images * s.each }

// gather writes the addresses of the pixels of a square; those outside the image
// are elsewhere's.
func (s squares) gather(to []uintptr, v view, m cpu.Matrix, col, square int, elsewhere uintptr) {
	s.pixels(to, v, address(m.Data)+uintptr(4*col), uintptr(4*m.Pitch), square, elsewhere)
}

// pixels is gather where pixels begin at base, a pitch in bytes apart.
func (s squares) pixels(to []uintptr, v view, base, pitch uintptr, square int, elsewhere uintptr) {
	image, at := square/s.each, square%s.each
	y0, x0 := v.step*(at/s.across)-v.border, v.step*(at%s.across)-v.border
	for i := range v.side {
		row, y := to[i*v.side:][:v.side], y0+i
		line := base + uintptr((image*v.h+y)*v.w+x0)*pitch
		for j := range row {
			if x := x0 + j; y < 0 || y >= v.h || x < 0 || x >= v.w {
				row[j] = elsewhere
			} else {
				row[j] = line + uintptr(j)*pitch
			}
		}
	}
}

// winograd is a convolution, or the gradient of its input, bound to its operands.
type winograd struct {
	squares
	depth, width int
	x, y, add    cpu.Matrix // input, result
	weights      gemm.Weights
	turned       bool // taps in reverse order: the gradient of the input
	bias         []float32
	perImage     cpu.Matrix
	packing      gemm.Packing
	cut          *kernels.Cut

	kernels *cpu.Kernels
	steps   *cpu.Winograd
	block   int // squares of a block, whole tiles
	groups  int // of panels, each a task of its own
	packed  []float32
	biases  []float32 // a row for each image, or one for all
	zeros   []float32 // a row that is outside of the image
	workers []winogradWorker
	pack    func(task, worker int)
	run     func(task, worker int)
}

type winogradWorker struct {
	v, m, spare, taps []float32 // transformed squares, products of a panel, a row for nothing, weights
	in                [maxPlaces]uintptr
	out               [maxPlaces]uintptr
	adds              [4]uintptr
	rows              [cpu.TileRows]uintptr
	panel             uintptr
	tile              cpu.Tile
}

// packDepth is how many rows of weights are transformed at a time.
const packDepth = 32

// block is how many squares of this depth stay in the cache with their products.
func (s squares) block(depth int) int {
	return min(max(blockBytes/(4*s.places*depth)/cpu.TileRows, 1), 8) * cpu.TileRows
}

func (s squares) sizes(depth, width int) (packed, biases, worker int) {
	block := s.block(depth)
	worker = s.places*(block*depth+gap) + s.places*(block*panelCols+gap) + panelCols + 9*packDepth*panelCols
	return s.places * depth * roundUp(width, 16), s.images * roundUp(width, 16), roundUp(worker, 16)
}

func (s squares) scratch(depth, width, threads int) int {
	packed, biases, worker := s.sizes(depth, width)
	return packed + biases + threads*worker
}

// bind returns the convolution as a function that allocates nothing.
func (w *winograd) bind(scratch []float32, threads int) func(*cpu.Pool) {
	packed, biases, worker := w.sizes(w.depth, w.width)
	take := func(n int) []float32 {
		part := scratch[:n:n]
		scratch = scratch[n:]
		return part
	}
	if w.packed = w.packing.Packed; w.packed == nil {
		w.packed = take(packed)
	}
	w.biases = take(biases)
	block := w.squares.block(w.depth)
	w.zeros = make([]float32, max(w.depth, roundUp(w.width, 16)))
	w.workers = make([]winogradWorker, threads)
	for i := range w.workers {
		own := take(worker)
		t := &w.workers[i]
		v, m := w.places*(block*w.depth+gap), w.places*(block*panelCols+gap)
		t.v, t.m, own = own[:v], own[v:][:m], own[v+m:]
		t.spare, t.taps = own[:panelCols], own[panelCols:][:9*packDepth*panelCols]
	}
	w.pack, w.run = w.packTask, w.blockTask
	return func(p *cpu.Pool) {
		w.kernels, w.steps = p.Kernels(), w.of(p.Kernels())
		if !w.packing.Runs(func() { p.Run(w.panels()*w.depthParts(), w.pack) }) {
			return
		}
		w.sumBiases()
		w.divide(threads)
		p.Run(w.blocks()*w.groups, w.run)
	}
}

// divide makes tasks of a block of squares and all panels, or of fewer panels where
// there would be too few tasks.
func (w *winograd) divide(threads int) {
	tiles := w.squares.block(w.depth) / cpu.TileRows
	w.block, w.groups = tiles*cpu.TileRows, 1
	for w.blocks()*w.groups < 4*threads && 2*w.groups <= w.panels() {
		w.groups *= 2
	}
	b := w.cut.Of(kernels.TileSize{Rows: tiles, Columns: ceil(w.panels(), w.groups)}, kernels.TileSize{Rows: tiles, Columns: w.panels()})
	w.block, w.groups = b.Rows*cpu.TileRows, ceil(w.panels(), b.Columns)
}

func (w *winograd) blocks() int     { return (w.count() + w.block - 1) / w.block }
func (w *winograd) panels() int     { return (w.width + w.kernels.TileCols - 1) / w.kernels.TileCols }
func (w *winograd) depthParts() int { return (w.depth + packDepth - 1) / packDepth }

// panel returns the columns of a panel that exist, those it is padded to, and its packed weights.
func (w *winograd) panel(i int) (valid, padded int, packed []float32) {
	valid = min(w.kernels.TileCols, w.width-i*w.kernels.TileCols)
	return valid, roundUp(valid, w.kernels.Lanes), w.packed[i*w.kernels.TileCols*w.places*w.depth:]
}

func (w *winograd) sumBiases() {
	for n := range w.biases[:w.images*w.width] {
		image, j := n/w.width, n%w.width
		b := float32(0)
		if w.bias != nil {
			b = w.bias[j]
		}
		if w.perImage.Data != nil {
			b += w.perImage.Data[image*w.perImage.Pitch+j]
		}
		w.biases[n] = b
	}
}

// packTask transforms some rows of the weights of one panel: [place][depth][columns].
func (w *winograd) packTask(task, worker int) {
	t := &w.workers[worker]
	index, first := task/w.depthParts(), task%w.depthParts()*packDepth
	valid, padded, packed := w.panel(index)
	n := min(packDepth, w.depth-first)
	tap := func(i int) []float32 {
		if w.turned {
			i = 8 - i
		}
		return w.weights.Data[i*w.weights.TapStride+index*w.kernels.TileCols*w.weights.ColStride+first*w.weights.DepthStride:]
	}
	stride := w.weights.DepthStride
	if w.weights.ColStride != 1 {
		for i := range 9 {
			turn(t.taps[i*packDepth*panelCols:], tap(i), n, valid, w.weights.ColStride)
		}
		stride = panelCols
	}
	for k := range n {
		for i := range 9 {
			if w.weights.ColStride == 1 {
				t.in[i] = address(tap(i)[k*stride:])
			} else {
				t.in[i] = address(t.taps[i*packDepth*panelCols+k*stride:])
			}
		}
		for i := range w.places {
			row := packed[(i*w.depth+first+k)*padded:][:padded]
			clear(row[valid:])
			t.out[i] = address(row)
		}
		w.steps.Weights(&t.in[0], &t.out[0], valid)
	}
}

// turn writes to[i][j] = from[j*stride+i], rows panelCols apart.
func turn(to, from []float32, rows, cols, stride int) {
	const block = 16
	for i0 := 0; i0 < rows; i0 += block {
		for j := range cols {
			for i, x := range from[j*stride+i0 : j*stride+min(i0+block, rows)] {
				to[(i0+i)*panelCols+j] = x
			}
		}
	}
}

// blockTask computes a block of squares for a group of panels.
func (w *winograd) blockTask(task, worker int) {
	t := &w.workers[worker]
	group, first := task%w.groups, task/w.groups*w.block
	n := min(w.block, w.count()-first)
	place := w.block*w.depth + gap
	for i := range n {
		w.gather(t.in[:], w.in, w.x, 0, first+i, address(w.zeros))
		for p := range w.places {
			t.out[p] = address(t.v[p*place+i*w.depth:])
		}
		w.steps.Input(&t.in[0], &t.out[0], w.depth)
	}
	panels := w.panels()
	for i := group * panels / w.groups; i < (group+1)*panels/w.groups; i++ {
		w.products(t, i, n)
		w.results(t, i, first, n)
	}
}

// products multiplies the transformed squares with one panel, place by place.
func (w *winograd) products(t *winogradWorker, panel, n int) {
	_, padded, packed := w.panel(panel)
	k := &t.tile
	*k = cpu.Tile{A: &t.rows[0], B: &t.panel, Taps: 1, Depth: w.depth, BPitch: 4 * padded, CPitch: 4 * padded, Width: padded}
	for p := range w.places {
		t.panel = address(packed[p*w.depth*padded:])
		v, m := address(t.v[p*(w.block*w.depth+gap):]), address(t.m[p*(w.block*panelCols+gap):])
		for i := 0; i < n; i += cpu.TileRows {
			k.Rows = min(cpu.TileRows, n-i)
			for r := range t.rows {
				t.rows[r] = v + uintptr(4*(i+min(r, k.Rows-1))*w.depth)
			}
			k.C = m + uintptr(4*i*padded)
			w.kernels.Tile(k)
		}
	}
}

// results turns products into squares of the output.
func (w *winograd) results(t *winogradWorker, panel, first, n int) {
	valid, padded, _ := w.panel(panel)
	col := panel * w.kernels.TileCols
	for i := range n {
		for p := range w.places {
			t.in[p] = address(t.m[p*(w.block*panelCols+gap)+i*padded:])
		}
		w.gather(t.out[:], w.out, w.y, col, first+i, address(t.spare))
		var adds *uintptr
		if w.add.Data != nil {
			w.gather(t.adds[:], w.out, w.add, col, first+i, address(w.zeros))
			adds = &t.adds[0]
		}
		bias := address(w.biases[(first+i)/w.each*w.width+col:])
		w.steps.Output(&t.in[0], &t.out[0], adds, bias, valid)
	}
}

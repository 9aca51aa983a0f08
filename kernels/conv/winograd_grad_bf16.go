package conv

import (
	"fluxion/kernels"
	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"
)

// The gradient of the weights by F(2×2, 3×3) in bfloat16: squares of the input and of the
// output's gradient are transformed, two at a time, to rows of pairs; 16 matrix products
// sum over all squares in float32; and their results are transformed back into 3×3
// weights. Each rounding error is passed on to the next number that is rounded
// (cpu.BF16Squares): the relative error on normally distributed numbers is 3.4e-3, and
// would be 4.0e-3 without.

const (
	pairChunk = 64  // pairs of squares transformed together: they stay in a cache
	pairsMost = 128 // if these are all: sums need no memory then
	pairTask  = 4   // of them transformed by a task
	pairRows  = 24  // input channels of a task of products: whole tiles
	// leastSquares is worth the transforms of sums to weights.
	leastSquares = 32
)

// winogradBF16Grad says whether the gradient of the weights is computed so where
// the instruction set has it. It depends on the shape alone.
func (s size) winogradBF16Grad() bool {
	return s.winograd() && !s.upsampled && s.squares().count() >= leastSquares
}

// bf16WinogradGrad is the gradient of the weights, bound to its operands.
type bf16WinogradGrad struct {
	squares
	depth, width int
	x, grad      gemm.BF16
	sum          cpu.Matrix
	cut          *kernels.Cut // its rows are pairs of a task of transforms

	kernels             *cpu.Kernels
	bf16                *cpu.BF16
	chunk               int       // pairs
	first               int       // pair of the chunk in hand
	perTask             int       // pairs of a task of transforms
	v, z                []float32 // pairs: [place][pair][channel], [place][panel][pair][channel of PairPanel]
	sums                []float32 // [panel][rows of a task][place][row][column]
	zeros               []uint16
	workers             []bf16GradWorker
	transform, products func(task, worker int)
}

type bf16GradWorker struct {
	pixels [2 * maxPlaces]uintptr
	pair   cpu.SquarePair
	sums   []float32 // of a task, where all squares are one chunk
	tile   cpu.TileTBF16
	in     [maxPlaces]uintptr
	out    [9]uintptr
}

// bf16GradSizes is how the memory of a gradient is cut, in floats.
type bf16GradSizes struct {
	chunk  int // pairs of a chunk: all are alike, and the last is filled up with zeros
	v, z   int
	sums   int // of all chunks
	worker int // sums of a worker
}

func (s squares) bf16GradSizes(depth, width int) bf16GradSizes {
	pairs := (s.count() + 1) / 2
	chunks := ceil(pairs, pairChunk)
	if pairs <= pairsMost {
		chunks = 1
	}
	n := bf16GradSizes{chunk: roundUp(ceil(pairs, chunks), cpu.PairsMultiple)}
	n.v = s.places * (n.chunk*roundUp(depth, 16) + gap)
	n.z = s.places * (n.chunk*roundUp(width, cpu.PairPanel) + gap)
	if chunks == 1 {
		n.worker = s.places * pairRows * panelCols
	} else {
		n.sums = s.places * roundUp(depth, pairRows) * roundUp(width, 16)
	}
	return n
}

func bf16WinogradGradScratch(s squares, depth, width, threads int) int {
	n := s.bf16GradSizes(depth, width)
	return n.v + n.z + n.sums + threads*n.worker
}

// bind returns the gradient as a function that allocates nothing.
func (w *bf16WinogradGrad) bind(scratch []float32, threads int) func(*cpu.Pool) {
	n := w.bf16GradSizes(w.depth, w.width)
	take := func(n int) []float32 {
		part := scratch[:n:n]
		scratch = scratch[n:]
		return part
	}
	w.chunk = n.chunk
	w.v, w.z, w.sums = take(n.v), take(n.z), take(n.sums)
	w.zeros = make([]uint16, max(w.depth, w.width))
	w.workers = make([]bf16GradWorker, threads)
	for i := range w.workers {
		w.workers[i].sums = take(n.worker)
	}
	w.transform, w.products = w.transformTask, w.productTask
	return func(p *cpu.Pool) {
		w.kernels, w.bf16 = p.Kernels(), p.Kernels().BF16
		w.perTask = w.cut.Of(kernels.TileSize{Rows: pairTask}, kernels.TileSize{Rows: w.chunk}).Rows
		for w.first = 0; 2*w.first < w.count(); w.first += w.chunk {
			p.Run(ceil(w.chunk, w.perTask), w.transform)
			p.Run(w.panels()*w.parts(), w.products)
		}
	}
}

func (w *bf16WinogradGrad) panels() int { return ceil(w.width, cpu.PairPanel) }
func (w *bf16WinogradGrad) parts() int  { return ceil(w.depth, pairRows) }
func (w *bf16WinogradGrad) vPlace() int { return len(w.v) / w.places }
func (w *bf16WinogradGrad) zPlace() int { return len(w.z) / w.places }

// panel returns the columns of a panel that exist, and those it is padded to.
func (w *bf16WinogradGrad) panel(i int) (valid, padded int) {
	valid = min(cpu.PairPanel, w.width-i*cpu.PairPanel)
	return valid, roundUp(valid, w.kernels.Lanes)
}

// transformTask transforms some pairs of squares of the input and of the gradient.
func (w *bf16WinogradGrad) transformTask(task, worker int) {
	t := &w.workers[worker]
	for i := task * w.perTask; i < min((task+1)*w.perTask, w.chunk); i++ {
		w.pair(t, w.in, w.x, i)
		t.pair = cpu.SquarePair{
			In: &t.pixels[0], Channels: w.depth, Panel: 4 * cpu.PairPanel,
			Out: address(w.v[i*roundUp(w.depth, 16):]), Place: 4 * w.vPlace(),
		}
		w.bf16.SquarePairs.Input(&t.pair)
		w.pair(t, w.out, w.grad, i)
		t.pair = cpu.SquarePair{
			In: &t.pixels[0], Channels: w.width, Panel: 4 * cpu.PairPanel * w.chunk,
			Out: address(w.z[i*cpu.PairPanel:]), Place: 4 * w.zPlace(),
		}
		w.bf16.SquarePairs.OutputGrad(&t.pair)
	}
}

// pair finds the pixels of a pair of squares of the chunk.
func (w *bf16WinogradGrad) pair(t *bf16GradWorker, v view, m gemm.BF16, i int) {
	for j := range 2 {
		to, square := t.pixels[j*v.side*v.side:][:v.side*v.side], 2*(w.first+i)+j
		if square < w.count() {
			w.pixels(to, v, addressBF16(m.Data), uintptr(2*m.Pitch), square, addressBF16(w.zeros))
			continue
		}
		for k := range to {
			to[k] = addressBF16(w.zeros)
		}
	}
}

// productTask multiplies the chunk, at all places, for some input channels and one
// panel of output channels; the last chunk's tasks finish the weights.
func (w *bf16WinogradGrad) productTask(task, worker int) {
	t := &w.workers[worker]
	panel, first := task/w.parts(), task%w.parts()*pairRows
	valid, padded := w.panel(panel)
	rows := min(pairRows, w.depth-first)
	sums := t.sums
	if len(w.sums) > 0 {
		sums = w.sums[w.places*(panel*cpu.PairPanel*roundUp(w.depth, pairRows)+first*padded):]
	}
	k := &t.tile
	*k = cpu.TileTBF16{
		APitch: 4 * roundUp(w.depth, 16), BPitch: 4 * cpu.PairPanel, Depth: w.chunk, CPitch: 4 * padded, Width: padded,
	}
	if w.first > 0 {
		k.Accumulate = 1
	}
	for p := range w.places {
		k.B = address(w.z[p*w.zPlace()+panel*cpu.PairPanel*w.chunk:])
		for i := 0; i < rows; i += w.bf16.Rows {
			k.A, k.Rows = address(w.v[p*w.vPlace()+first+i:]), min(w.bf16.Rows, rows-i)
			k.C = address(sums[(p*pairRows+i)*padded:])
			w.bf16.TileT(k)
		}
	}
	if 2*(w.first+w.chunk) < w.count() {
		return
	}
	for i := range rows {
		for p := range w.places {
			t.in[p] = address(sums[(p*pairRows+i)*padded:])
		}
		for tap := range t.out {
			t.out[tap] = address(w.sum.Data[(tap*w.depth+first+i)*w.sum.Pitch+panel*cpu.PairPanel:])
		}
		w.of(w.kernels).WeightsGrad(&t.in[0], &t.out[0], valid)
	}
}

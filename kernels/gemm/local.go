package gemm

import "fluxion/kernels/cpu"

// Local runs small dense products inside one worker, for kernels that split
// their own work. It allocates nothing after it was made.
type Local struct {
	p product
	t transposed
}

// NewLocal returns a Local for products over at most this many terms.
func NewLocal(maxDepth int) *Local {
	l := &Local{}
	l.p.workers = []workspace{{a: make([]uintptr, tileRows), b: make([]uintptr, 1)}}
	l.p.zeros = make([]float32, maxDepth)
	l.t.workers = []workspace{{a: make([]uintptr, blockRows)}}
	l.t.group, l.t.taps, l.t.Taps = groupTiles, 1, 1
	return l
}

// PackedSize is the length of packed weights, in floats.
func PackedSize(depth, width int) int { return ProductScratch(0, 1, depth, width) }

// Pack lays out weights for Product; dst has PackedSize floats.
func (*Local) Pack(k *cpu.Kernels, dst []float32, w Weights, depth, width int) {
	for panel := range panels(k, width) {
		packPanel(k, dst, w, 1, depth, width, panel)
	}
}

// Product computes out = in·w with packed weights.
func (l *Local) Product(k *cpu.Kernels, out, in cpu.Matrix, packed []float32) {
	p := &l.p
	p.kernels, p.packed, p.Geometry = k, packed, Dense(in.Rows)
	p.Depth, p.Width, p.In, p.Out = in.Cols, out.Cols, in, out
	p.imageTiles, p.chunk = (in.Rows+tileRows-1)/tileRows, chunkTerms
	for task := range panels(k, p.Width) * p.blocks() {
		p.run(task, 0)
	}
}

// TransposedProduct computes out = inᵀ·grad, or adds it to out.
func (l *Local) TransposedProduct(k *cpu.Kernels, out, in, grad cpu.Matrix, accumulate bool) {
	t := &l.t
	t.kernels, t.Geometry, t.accumulate = k, Dense(in.Rows), accumulate
	t.Depth, t.Width, t.In, t.Grad, t.Out = in.Cols, grad.Cols, in, grad, out
	for task := range panels(k, t.Width) * t.groups() {
		t.run(task, 0)
	}
}

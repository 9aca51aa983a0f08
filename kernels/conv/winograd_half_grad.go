package conv

import (
	"fluxion/kernels/cpu"
	"fluxion/kernels/gemm"
)

// The gradient of the weights in the same way: rows of the input and of the
// output's gradient are transformed, 4 products sum over all positions, and what
// comes of them is turned back into weights of 3×3.

const (
	chunkPositions = 1024 // transformed together, about: they stay in a cache
	lineRows       = 16   // rows of weights of a task of the last transform
)

// halfWinogradGrad is the gradient of the weights, bound to its operands.
type halfWinogradGrad struct {
	strips
	depth, width int
	in, grad     gemm.Half
	out          cpu.Matrix

	half           *cpu.Half
	first          int      // strip of the chunk in hand
	joins          bool     // its products join those of the chunks before
	v, y           []uint16 // rows of every place
	sums           []float32
	zeros, noGrad  []uint16
	workers        []halfGradWorker
	products       [linePlaces]func(*cpu.Pool)
	transform, end func(task, worker int)
}

type halfGradWorker struct {
	in, out [linePlaces]uintptr
	lines   cpu.HalfLines
}

// chunk is how many strips are transformed together: all chunks are alike, and
// the last is filled up with zeros.
func (s strips) chunk() int {
	chunks := (s.count()*s.w + chunkPositions - 1) / chunkPositions
	return (s.count() + chunks - 1) / chunks
}

func halfWinogradGradSizes(s strips, depth, width, threads int) (v, y, sums, product int) {
	positions := s.chunk() * s.w
	half := func(columns int) int { return linePlaces * roundUp((positions*columns+1)/2, 16) }
	return half(depth), half(width), roundUp(linePlaces*lineTaps*depth*width, 16),
		gemm.HalfTransposedScratch(positions, lineTaps, depth, width, threads)
}

func halfWinogradGradScratch(s strips, depth, width, threads int) int {
	v, y, sums, product := halfWinogradGradSizes(s, depth, width, threads)
	return v + y + sums + product
}

// geometry is that of the products: rows of images are convolved with three taps.
func (s strips) geometry() gemm.Geometry {
	g := gemm.Geometry{Images: s.chunk(), Rows: s.w, InRows: s.w, Taps: lineTaps}
	for tap := range lineTaps {
		for x := range s.w {
			g.Source = append(g.Source, pixel(0, x+tap-1, 1, s.w))
		}
	}
	return g
}

// bind returns the gradient as a function that allocates nothing.
func (w *halfWinogradGrad) bind(scratch []float32, threads int) func(*cpu.Pool) {
	v, y, sums, product := halfWinogradGradSizes(w.strips, w.depth, w.width, threads)
	take := func(n int) []float32 {
		part := scratch[:n:n]
		scratch = scratch[n:]
		return part
	}
	w.v, w.y, w.sums = asHalf(take(v)), asHalf(take(y)), take(sums)
	own := take(product)
	w.zeros, w.noGrad = w.outside(w.in), w.outside(w.grad)
	w.workers = make([]halfGradWorker, threads)
	geometry, rows := w.geometry(), lineTaps*w.depth
	for p := range w.products {
		w.products[p] = gemm.HalfTransposed{
			Geometry: geometry, Depth: w.depth, Width: w.width,
			In:   gemm.Half{Data: w.v[p*w.vPlace():], Pitch: w.depth},
			Grad: gemm.Half{Data: w.y[p*w.yPlace():], Pitch: w.width},
			Out:  cpu.Matrix{Data: w.sums[p*rows*w.width:], Rows: rows, Cols: w.width, Pitch: w.width}, Accumulate: &w.joins,
			Scratch: own, Threads: threads,
		}.Bind()
	}
	w.transform, w.end = w.transformTask, w.endTask
	return func(p *cpu.Pool) {
		w.half = p.Kernels().Half
		for w.first = 0; w.first < w.count(); w.first += w.chunk() {
			w.joins = w.first > 0
			p.Run(w.chunk(), w.transform)
			for _, run := range w.products {
				run(p)
			}
		}
		p.Run(lineTaps*w.parts(), w.end)
	}
}

func (w *halfWinogradGrad) vPlace() int { return len(w.v) / linePlaces }
func (w *halfWinogradGrad) yPlace() int { return len(w.y) / linePlaces }
func (w *halfWinogradGrad) parts() int  { return (w.depth + lineRows - 1) / lineRows }

// transformTask transforms a strip of the input and of the gradient.
func (w *halfWinogradGrad) transformTask(strip, worker int) {
	t := &w.workers[worker]
	l := &t.lines
	*l = cpu.HalfLines{In: &t.in[0], Out: &t.out[0]}
	w.whole(l, w.in.Pitch, w.depth)
	w.rows(t.in[:], w.in, 0, w.first+strip, 1, addressHalf(w.zeros))
	for p := range linePlaces {
		t.out[p] = addressHalf(w.v[p*w.vPlace()+strip*w.w*w.depth:])
	}
	w.half.Winograd.Input(l)
	w.whole(l, w.grad.Pitch, w.width)
	w.rows(t.in[:2], w.grad, 0, w.first+strip, 0, addressHalf(w.noGrad))
	for p := range linePlaces {
		t.out[p] = addressHalf(w.y[p*w.yPlace()+strip*w.w*w.width:])
	}
	w.half.Winograd.OutputGrad(l)
}

// endTask turns the sums of one tap and some input channels into gradients of weights.
func (w *halfWinogradGrad) endTask(task, worker int) {
	t := &w.workers[worker]
	tap, first := task/w.parts(), task%w.parts()*lineRows
	t.lines = cpu.HalfLines{
		In: &t.in[0], Out: &t.out[0], InPitch: 4 * w.width, OutPitch: 4 * w.out.Pitch,
		Count: min(lineRows, w.depth-first), Columns: w.width,
	}
	for p := range linePlaces {
		t.in[p] = address(w.sums[((p*lineTaps+tap)*w.depth+first)*w.width:])
	}
	for i := range lineTaps {
		t.out[i] = address(w.out.Data[((i*lineTaps+tap)*w.depth+first)*w.out.Pitch:])
	}
	w.half.Winograd.WeightsGrad(&t.lines)
}

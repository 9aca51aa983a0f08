package conv

import (
	"unsafe"

	"fluxion/kernels"
	"fluxion/kernels/cpu"
)

// The gradient of the weights in the same way: squares of the input and of the
// output's gradient are transformed, 16 matrix products (or 9) sum over all squares,
// and their results are transformed back into 3×3 weights.

const (
	gradBlock   = 256 // squares summed in one register before they join the rest
	gradTiles   = 8   // tiles of input channels of a task of sums
	gradSquares = 16  // squares of a task of transforms
	gradRows    = 16  // rows of weights of a task of the last transform
)

// winogradGrad is the gradient of the weights, bound to its operands.
type winogradGrad struct {
	squares
	depth, width int
	x, grad, sum cpu.Matrix // input, gradient of the output, gradient of the weights
	cut          *kernels.Cut

	kernels         *cpu.Kernels
	steps           *cpu.Winograd
	first, n        int // squares of the block in hand
	channels        int // of a task of sums
	perTask         int // squares of a task of transforms
	v, y, m         []float32
	vPlace, yPlace  int // floats from place to place
	yPitch          int // floats from row to row of y and m
	zeros           []float32
	workers         []gradWorker
	transform, sums func(task, worker int)
	weights         func(task, worker int)
}

type gradWorker struct {
	in, out [maxPlaces]uintptr
	rows    [gradBlock]uintptr
	tile    cpu.TileT
}

func (s squares) gradSizes(depth, width int) (v, y, m int) {
	v = s.places * (gradBlock*depth + gap)
	y = s.places * (gradBlock*roundUp(width, 16) + gap)
	return v, y, s.places*depth*roundUp(width, 16) + cpu.TileRows*roundUp(width, 16)
}

func (s squares) gradScratch(depth, width int) int {
	v, y, m := s.gradSizes(depth, width)
	return v + y + m
}

func (w *winogradGrad) bind(scratch []float32, threads int) func(*cpu.Pool) {
	v, y, m := w.gradSizes(w.depth, w.width)
	w.v, w.y, w.m = scratch[:v], scratch[v:][:y], scratch[v+y:][:m]
	w.vPlace, w.yPitch = gradBlock*w.depth+gap, roundUp(w.width, 16)
	w.yPlace = gradBlock*w.yPitch + gap
	w.zeros = make([]float32, max(w.depth, w.width))
	w.workers = make([]gradWorker, threads)
	w.transform, w.sums, w.weights = w.transformTask, w.sumTask, w.weightTask
	return func(p *cpu.Pool) {
		w.kernels, w.steps = p.Kernels(), w.of(p.Kernels())
		b := w.cut.Of(kernels.TileSize{Rows: gradTiles, Columns: gradSquares}, kernels.TileSize{Rows: ceil(w.depth, cpu.TileRows), Columns: min(gradBlock, w.count())})
		w.channels, w.perTask = b.Rows*cpu.TileRows, b.Columns
		for w.first = 0; w.first < w.count(); w.first += gradBlock {
			w.n = min(gradBlock, w.count()-w.first)
			p.Run(ceil(w.n, w.perTask), w.transform)
			p.Run(w.places*w.panels()*w.channelGroups(), w.sums)
		}
		p.Run((w.depth+gradRows-1)/gradRows, w.weights)
	}
}

func (w *winogradGrad) panels() int {
	return (w.width + w.kernels.TileCols - 1) / w.kernels.TileCols
}

func (w *winogradGrad) channelGroups() int { return ceil(w.depth, w.channels) }

// transformTask transforms some squares of the input and of the gradient.
func (w *winogradGrad) transformTask(task, worker int) {
	t := &w.workers[worker]
	for i := task * w.perTask; i < min((task+1)*w.perTask, w.n); i++ {
		w.gather(t.in[:], w.in, w.x, 0, w.first+i, address(w.zeros))
		for p := range w.places {
			t.out[p] = address(w.v[p*w.vPlace+i*w.depth:])
		}
		w.steps.Input(&t.in[0], &t.out[0], w.depth)
		w.gather(t.in[:], w.out, w.grad, 0, w.first+i, address(w.zeros))
		for p := range w.places {
			t.out[p] = address(w.y[p*w.yPlace+i*w.yPitch:])
		}
		w.steps.OutputGrad(&t.in[0], &t.out[0], w.width)
	}
}

// sumTask adds the block's products of one place, one panel of output channels
// and one group of input channels.
func (w *winogradGrad) sumTask(task, worker int) {
	t := &w.workers[worker]
	groups := w.channelGroups()
	group, task := task%groups, task/groups
	panel, place := task%w.panels(), task/w.panels()
	col := panel * w.kernels.TileCols
	width := roundUp(min(w.kernels.TileCols, w.width-col), w.kernels.Lanes)
	base := address(w.v[place*w.vPlace:])
	for i := range w.n {
		t.rows[i] = base + uintptr(4*i*w.depth)
	}
	k := &t.tile
	*k = cpu.TileT{
		A: unsafe.SliceData(t.rows[:]), Depth: w.n, Width: width, CPitch: 4 * w.yPitch,
		B: address(w.y[place*w.yPlace+col:]), BPitch: 4 * w.yPitch,
	}
	if w.first > 0 {
		k.Accumulate = 1
	}
	for c := group * w.channels; c < min((group+1)*w.channels, w.depth); c += cpu.TileRows {
		k.AOffset, k.Rows = 4*c, min(cpu.TileRows, w.depth-c)
		k.C = address(w.m[(place*w.depth+c)*w.yPitch+col:])
		w.kernels.TileT(k)
	}
}

// weightTask turns the sums of some input channels into gradients of weights.
func (w *winogradGrad) weightTask(task, worker int) {
	t := &w.workers[worker]
	for c := task * gradRows; c < min((task+1)*gradRows, w.depth); c++ {
		for p := range w.places {
			t.in[p] = address(w.m[(p*w.depth+c)*w.yPitch:])
		}
		for tap := range 9 {
			t.out[tap] = address(w.sum.Data[(tap*w.depth+c)*w.sum.Pitch:])
		}
		w.steps.WeightsGrad(&t.in[0], &t.out[0], w.width)
	}
}

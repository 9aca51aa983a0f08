package gemm

import (
	_ "embed"
	"fmt"
	"math"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

// Products by wgmma: gemm_hopper.cu, for cards whose Warpgroup says so. Operands reach shared memory as boxes of
// tensors, so pixels that follow each other must be a box of the walk's grid, and every row aligned.

//go:embed gemm_hopper_compute_90a.ptx.zst
var ptxHopper string

var hopper = cuda.Register("gemm_hopper_compute_90a", ptxHopper)

// As in gemm_hopper.cu.
const (
	groupDepth = 64  // of k in a step
	groupWidth = 128 // columns of a tile
)

// groupTile is a compiled kernel, by the rows of its tile.
type groupTile struct {
	m, threads, stages, resident int
}

var warpTiles = []groupTile{{256, 384, 4, 1}, {128, 288, 3, 2}}

// stageBytes is shared memory for one step.
func (t groupTile) stageBytes() int { return 2 * groupDepth * (t.m + groupWidth) }

// share of wgmma's peak: bytes of shared memory that two groups read for a step, and those that are copied
// there, take a cycle for 128.
func (t groupTile) share() float64 {
	tensor := float64(2*t.m*groupWidth*groupDepth) / 4096
	shared := float64(t.stageBytes()+t.m/64*(64+groupWidth)*2*groupDepth) / 128
	return min(1, tensor/shared)
}

// box is n pixels of the grid that follow each other, as sides of a box of it.
func (w Walk) box(n int) (images, y, x int, ok bool) {
	switch {
	case w.Images*w.Y.Grid == 1 || w.X.Grid%n == 0:
		return 1, 1, n, true
	case n%w.X.Grid != 0:
		return 0, 0, 0, false
	}
	x, y = w.X.Grid, n/w.X.Grid
	if w.Y.Grid%y == 0 {
		return 1, y, x, true
	}
	return y / w.Y.Grid, w.Y.Grid, x, y%w.Y.Grid == 0
}

// flat is the product with all pixels in one row, where each meets itself alone and is of no image.
func (p CUDA) flat() CUDA {
	alone := func(a Axis) bool { return a.Taps == 1 && a.Origin == 0 && a.Grid == a.Source && a.Grid == a.Out }
	if p.Stride == 1 && p.OutStep == 1 && alone(p.Y) && alone(p.X) && p.PerImage.Address == 0 {
		first := p.Y.FirstTap*p.Side + p.X.FirstTap
		p.Walk = DenseWalk(1, p.pixels())
		p.X.FirstTap = first
	}
	return p
}

// groups chooses how wgmma makes a product; false where it does not, or mma.sync is thought to be faster. It
// asks for no addresses. A forward product shares its sums in as many parts, of the same k, as mma.sync's.
func (p CUDA) groups() (choice, bool) {
	if p.Card.Warpgroup == 0 || p.A.Type != number.BFloat16 || p.Batch.Images > 0 || p.taps() == 0 || p.Width < 64 || p.Depth < 32 {
		return choice{}, false
	}
	least, most := 1, mostSplits
	usual := choose(p, direct)
	if p.Kind == NN {
		if usual.splits > 1 && (usual.splitSteps%2 != 0 || usual.tapSteps%2 != 0) {
			return choice{}, false
		}
		least, most = usual.splits, usual.splits
	}
	best := choice{seconds: math.Inf(1)}
	for _, t := range warpTiles {
		c, ok := t.lay(p)
		if !ok {
			continue
		}
		for splits := least; splits <= most && (splits == least || splits <= c.steps/leastSteps); splits++ {
			c.splitSteps = ceil(c.steps, splits)
			c.splits = ceil(c.steps, c.splitSteps)
			if c.seconds = c.estimateGroups(p, t); c.seconds < best.seconds {
				best = c
			}
		}
	}
	return best, best.seconds < usual.seconds
}

// lay covers the result with tiles and counts the steps of the sum; false where pixels that follow each other are no box.
func (t groupTile) lay(p CUDA) (choice, bool) {
	_, y, x, ok := p.box(t.pixels(p.Kind))
	c := choice{tile: tile{m: t.m, n: groupWidth, resident: t.resident}, groups: t.threads, across: ceil(p.Width, groupWidth), tapTiles: 1, tapSteps: ceil(p.Depth, groupDepth)}
	if p.Kind == TN {
		c.tapTiles = ceil(p.Depth, t.m)
		c.down, c.steps = p.taps()*c.tapTiles, ceil(p.pixels(), groupDepth)
	} else {
		c.down, c.steps = ceil(p.pixels(), t.m), p.taps()*c.tapSteps
	}
	return c, ok && max(y, x)*p.Stride <= 256
}

// pixels of a box of A.
func (t groupTile) pixels(k Kind) int {
	if k == TN {
		return groupDepth
	}
	return t.m
}

// estimateGroups is estimate for wgmma.
func (c choice) estimateGroups(p CUDA, t groupTile) float64 {
	r := ratesOf(p.Card)
	own := float64(ceil(c.across*c.down*c.splits, r.processors))
	fill := min(1, 0.5+0.5*own/float64(t.resident))
	flops := 2 * float64(c.m*c.n*c.splitSteps*groupDepth)
	seconds := own*flops/(float64(p.Card.Warpgroup)*float64(p.Card.ClockHz)*t.share()*fill) + r.blockStart*math.Ceil(own/float64(t.resident))
	if c.splits > 1 {
		seconds += launch + 8*float64(c.splits*p.rows()*p.Width)/r.bandwidth
	}
	return seconds
}

// groupCall is the launch of gemm_hopper.cu, but for struct Product behind the tensor maps.
func (p CUDA) groupCall(c choice) cuda.Call {
	var t groupTile
	for _, t = range warpTiles {
		if t.m == c.m {
			break
		}
	}
	return cuda.Call{
		Module: hopper, Function: fmt.Sprintf("gemm_%v_%dx%d_wgmma_bf16", p.Kind, t.m, groupWidth),
		Grid: [3]int{c.across * c.down, c.splits, 1}, Block: [3]int{t.threads, 1, 1},
		Shared: t.stages*t.stageBytes() + 1<<10, // begins anywhere, and is used from a multiple of 1024 on
		Maps:   []cuda.TensorMap{p.mapA(t), p.mapB()},
	}
}

// mapA is of pixels: channels, x, y, image.
func (p CUDA) mapA(t groupTile) cuda.TensorMap {
	images, y, x, _ := p.box(t.pixels(p.Kind))
	row := uint64(2 * p.A.Pitch)
	m := swizzledMap(p.A, uint64(p.Depth), uint64(p.X.Source), uint64(p.Y.Source), uint64(p.Images))
	m.Strides = []uint64{row, row * m.Sizes[1], row * m.Sizes[1] * m.Sizes[2]}
	m.Box = []uint32{groupDepth, uint32(x * p.Stride), uint32(y * p.Stride), uint32(images)}
	m.ElementStrides = []uint32{1, uint32(p.Stride), uint32(p.Stride), 1}
	return m
}

// mapB is of weights, or of the result's gradient: columns, rows, and matrices of them by tap.
func (p CUDA) mapB() cuda.TensorMap {
	last := p.Y.FirstTap*p.Side + p.X.FirstTap + p.TapStep*((p.Y.Taps-1)*p.Side+p.X.Taps-1)
	columns, rows, box := p.Width, p.Depth, uint32(groupDepth)
	switch p.Kind {
	case NT:
		columns, rows, box = p.Depth, p.Width, groupWidth
	case TN:
		rows, last = p.pixels(), 0
	}
	row := uint64(2 * p.B.Pitch)
	m := swizzledMap(p.B, uint64(columns), uint64(rows), uint64(last+1))
	m.Strides = []uint64{row, row * m.Sizes[1]}
	m.Box = []uint32{64, box, 1}
	m.ElementStrides = []uint32{1, 1, 1}
	return m
}

// swizzledMap is of bf16, in boxes of 128 bytes a row, swizzled over all of them; cache lines are read whole.
func swizzledMap(o cuda.Operand, sizes ...uint64) cuda.TensorMap {
	const bf16, by128, lines = 9, 3, 2
	return cuda.TensorMap{Type: bf16, Address: o.Address, Sizes: sizes, Swizzle: by128, Promotion: lines}
}

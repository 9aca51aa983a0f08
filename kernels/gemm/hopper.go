package gemm

import (
	_ "embed"
	"fmt"
	"math"
	"slices"

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
	groupDepth   = 64  // of k in a step
	groupWidth   = 128 // columns of a tile
	groupThreads = 128
	tallTaps     = 3 // above each other, whose pixels are one box
)

// Of the second cache, as in engine/device/model: bytes a cycle of a multiprocessor, where all ask for them, and the
// share of it that holds what was written last.
const cached, cacheShare = 30, 0.6

// groupTile is a compiled kernel.
type groupTile struct {
	kinds    []Kind
	m        int  // rows of a tile; of the gradient of weights, of each of three taps if it is tall
	tall     bool // a step is a column of taps
	threads  int
	resident int  // blocks on a multiprocessor
	shared   int  // bytes of a block
	pair     bool // clusters of two blocks side by side, each of which copies half of the rows of a for both
}

var hopperTiles = []groupTile{
	{[]Kind{NN, NT}, 256, true, 384, 1, 2*(256+64)*128 + 8*16<<10, false},
	{[]Kind{NN}, 128, true, 288, 2, 2*(128+64)*128 + 3*16<<10, false},
	{[]Kind{TN}, 128, true, 512, 1, 4 * 48 << 10, false},
	{[]Kind{NN, NT, TN}, 256, false, 384, 1, 4 * 48 << 10, false},
	{[]Kind{NN, NT, TN}, 128, false, 288, 2, 3 * 32 << 10, false},
}

// hopperPairs are in the stead of those of hopperTiles that are as high, and make the same sums.
var hopperPairs = []groupTile{
	{[]Kind{NN, NT, TN}, 256, false, 384, 1, 4 * 48 << 10, true},
	{[]Kind{NN, NT, TN}, 128, false, 288, 2, 3 * 32 << 10, true},
}

func (t groupTile) function(k Kind) string {
	variant := ""
	switch {
	case t.tall:
		variant = "_tall"
	case t.pair:
		variant = "_pair"
	}
	return fmt.Sprintf("gemm_%v_%dx%d_wgmma%s_bf16", k, t.m, groupWidth, variant)
}

// multiplied is the rows of all groups, and taps those that a step multiplies one after the other.
func (t groupTile) multiplied(k Kind) (rows, taps int) {
	switch {
	case t.tall && k == TN:
		return tallTaps * t.m, 1
	case t.tall:
		return t.m, tallTaps
	}
	return t.m, 1
}

// box of pixels that a step copies: of how many that follow each other, and rows of the image beside them.
func (t groupTile) box(p CUDA) (pixels, more int) {
	pixels = t.m
	switch {
	case p.Kind == TN:
		pixels = groupDepth
	case t.pair:
		pixels /= 2
	}
	if t.tall {
		more = tallTaps - 1
	}
	return pixels, more
}

// seconds of a step on a multiprocessor, if so many are busy: that of the tensor cores, or of shared memory, which copies
// write and each group reads, 128 bytes a cycle, or of the second cache.
func (t groupTile) seconds(p CUDA, busy int) float64 {
	const one = 64 // bytes a cycle from the second cache, where no other multiprocessor asks for any
	rate := min(one, float64(cached*p.Card.Multiprocessors)/float64(busy))
	rows, taps := t.multiplied(p.Kind)
	tensor := float64(2*rows*groupWidth*groupDepth*taps) / float64(p.Card.Warpgroup)
	pixels, more := t.box(p)
	images, _, x, _ := p.Walk.box(pixels)
	fetched, weights := 2*groupDepth*(pixels+images*more*x), 2*groupDepth*groupWidth*taps
	if p.Kind == TN {
		fetched, weights = fetched/groupDepth*t.m, 2*groupDepth*groupWidth
	}
	copied := fetched + weights
	switch {
	case t.pair && p.Kind == TN:
		fetched /= 2
	case t.pair:
		copied += fetched
	}
	fetched += weights
	read := 2 * groupDepth * (64 + groupWidth) * rows / 64 * taps
	return max(tensor, float64(copied+read)/128, float64(fetched)/rate) / float64(p.Card.ClockHz)
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

// usualHopper decides in which order wgmma sums a forward product, for all cards.
var usualHopper = cuda.Card{Multiprocessors: 132, ClockHz: 1830e6, Tensor: 2458, Warpgroup: 4096, Lanes: 128, Shared: 228 << 10, L2: 50 << 20, Bandwidth: 3350e9}

// byGroups is the product as wgmma makes it, if operands and results lie so that it does.
func (p CUDA) byGroups(a access) (CUDA, choice, bool) {
	if a != direct || !p.vectors() {
		return p, choice{}, false
	}
	c, ok := p.groups()
	return p.flat(), c, ok
}

// groups chooses how wgmma makes a product; false where it does not, or mma.sync is thought to be faster. It
// asks for no addresses. Of a forward product neither that nor the order of its sums depends on the number of images.
func (p CUDA) groups() (choice, bool) {
	if p.Card.Warpgroup == 0 || p.A.Type != number.BFloat16 || p.Batch.Images > 0 || p.taps() == 0 || p.Width < 64 || p.Width%4 != 0 || p.Depth < 32 ||
		p.PerImage.Address != 0 && p.Y.Grid*p.X.Grid%strip != 0 {
		return choice{}, false
	}
	if p.Kind != NN {
		c := p.flat().fastestGroups(hopperTiles, 1, mostSplits)
		return p.flat().paired(c), c.seconds < choose(p.flat(), direct).seconds
	}
	any := p
	any.Images, any.Card, any.Trains = usualImages, usualHopper, false
	otherwise := choose(any, direct)
	least, most := otherwise.splits, otherwise.splits // statistics are left where the sums are not shared, whoever multiplies
	if p.Y.Grid*p.X.Grid%strip != 0 {                 // of such images none are
		least, most = 1, mostSplits
	}
	usual := any.flat().fastestGroups(hopperTiles, least, most)
	if usual.seconds > otherwise.seconds {
		return choice{}, false
	}
	alike := slices.DeleteFunc(slices.Clone(hopperTiles), func(t groupTile) bool { return t.tall != usual.groups.tall })
	return p.flat().paired(p.flat().fastestGroups(alike, usual.splits, usual.splits)), true
}

// paired is the choice with its blocks in pairs, if that is thought to be faster where all multiprocessors ask the second
// cache, as engine/device/model has it. The sums and their order stay.
func (p CUDA) paired(c choice) choice {
	all := ratesOf(p.Card).processors
	for i := range hopperPairs {
		pair, ok := hopperPairs[i].lay(p)
		if c.groups == nil || c.groups.tall || pair.m != c.m || !ok {
			continue
		}
		pair.splits, pair.splitSteps = c.splits, c.splitSteps
		if pair.estimateBusy(p, all) < c.estimateBusy(p, all) {
			pair.seconds = pair.estimateGroups(p)
			return pair
		}
	}
	return c
}

// fastestGroups is fastest for wgmma; its time is infinite if no kernel can.
func (p CUDA) fastestGroups(tiles []groupTile, least, most int) choice {
	best := choice{seconds: math.Inf(1)}
	for i := range tiles {
		c, ok := tiles[i].lay(p)
		if !ok {
			continue
		}
		for splits := least; splits <= most && (splits == least || splits <= c.steps/leastSteps); splits++ {
			c.splitSteps = ceil(c.steps, splits)
			c.splits = ceil(c.steps, c.splitSteps)
			if c.seconds = c.estimateGroups(p); c.seconds < best.seconds {
				best = c
			}
		}
	}
	return best
}

// lay covers the result with tiles and counts the steps of the sum; false where the kernel is not made for the product.
func (t groupTile) lay(p CUDA) (choice, bool) {
	pixels, more := t.box(p)
	images, y, x, ok := p.Walk.box(pixels)
	if t.tall { // taps are whole pieces of eight rows, and tiles of 64 pixels of one image
		rows := pixels + images*more*x
		ok = ok && p.Stride == 1 && p.Y.Taps == tallTaps && x%8 == 0 && x == p.X.Grid && p.Y.Grid*x%64 == 0 && rows <= pixels+64
	}
	c := choice{tile: tile{m: t.m, n: groupWidth, resident: t.resident}, groups: &t, across: ceil(p.Width, groupWidth), tapTiles: 1, tapSteps: ceil(p.Depth, groupDepth)}
	taps := p.taps()
	if t.tall {
		taps = p.X.Taps
	}
	if p.Kind == TN {
		c.tapTiles = ceil(p.Depth, t.m)
		c.down, c.steps = taps*c.tapTiles, ceil(p.pixels(), groupDepth)
	} else {
		c.down, c.steps = ceil(p.pixels(), t.m), taps*c.tapSteps
	}
	ok = ok && (!t.pair || c.across%2 == 0)
	return c, ok && slices.Contains(t.kinds, p.Kind) && max(y+more, x)*p.Stride <= 256
}

// estimateGroups is estimate for wgmma.
func (c choice) estimateGroups(p CUDA) float64 {
	return c.estimateBusy(p, min(c.across*c.down*c.splits, ratesOf(p.Card).processors))
}

// estimateBusy is that if so many multiprocessors ask the second cache.
func (c choice) estimateBusy(p CUDA, busy int) float64 {
	r := ratesOf(p.Card)
	blocks := c.across * c.down * c.splits
	own, resident := float64(ceil(blocks, r.processors)), float64(c.resident)
	fill := min(1, 0.5+0.5*own/resident)
	seconds := own*float64(c.splitSteps)*c.groups.seconds(p, busy)/fill + r.blockStart*math.Ceil(own/resident)
	if c.groups.pair {
		seconds += cuda.ClusterSeconds * math.Ceil(own/resident)
	}
	if c.splits > 1 { // what is left is written, and read again
		left, rate := 4*float64(c.splits*p.rows()*p.Width), r.bandwidth
		if left < cacheShare*float64(p.Card.L2) {
			rate = cached * float64(r.processors) * float64(p.Card.ClockHz)
		}
		seconds += launch + 2*left/rate
	}
	return seconds
}

// groupCall is the launch of gemm_hopper.cu, but for struct Product behind the tensor maps.
func (p CUDA) groupCall(c choice) cuda.Call {
	cluster := 0
	if c.groups.pair {
		cluster = 2
	}
	return cuda.Call{
		Module: hopper, Function: c.groups.function(p.Kind), Cluster: cluster,
		Grid: [3]int{c.across * c.down, c.splits, 1}, Block: [3]int{c.groups.threads, 1, 1},
		Shared: c.groups.shared + 1<<10, // begins anywhere, and is used from a multiple of 1024 on
		Maps:   []cuda.TensorMap{p.mapA(c.groups), p.mapB()},
	}
}

// mapA is of pixels: channels, x, y, image.
func (p CUDA) mapA(t *groupTile) cuda.TensorMap {
	pixels, more := t.box(p)
	images, y, x, _ := p.Walk.box(pixels)
	row := uint64(2 * p.A.Pitch)
	m := swizzledMap(p.A, uint64(p.Depth), uint64(p.X.Source), uint64(p.Y.Source), uint64(p.Images))
	m.Strides = []uint64{row, row * m.Sizes[1], row * m.Sizes[1] * m.Sizes[2]}
	m.Box = []uint32{groupDepth, uint32(x * p.Stride), uint32((y + more) * p.Stride), uint32(images)}
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

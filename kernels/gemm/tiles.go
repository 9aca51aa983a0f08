package gemm

import (
	"fmt"
	"math"

	"fluxion/kernels/cuda"
	"fluxion/kernels/number"
)

// tile is one of the compiled kernels: the part of the result that a block of 128
// threads computes.
type tile struct {
	m, n      int
	resident  int     // blocks on a multiprocessor (kernels/cuda/resources.tsv, sm_90a)
	efficient float64 // share of the peak of its instruction that a full multiprocessor is taken to reach
	others    float64 // instructions beside each mma.sync in its loop; 0: not counted
	pair      bool    // two groups of 128 threads have half of the steps each; blocks have shares across tiles
}

// tilesOf lists what was compiled, the largest first.
func tilesOf(t number.Type, a access) []tile {
	switch {
	case t == number.Float32 && a == direct:
		return []tile{{128, 64, 2, 0.7, 0, false}}
	case t == number.Float32:
		return []tile{{64, 64, 3, 0.3, 0, false}}
	case a == direct:
		return []tile{{128, 128, 2, 1, 3.3, false}, {128, 64, 3, 0.85, 4.9, false}, {64, 64, 4, 0.65, 7.7, false}}
	case a == gatherB:
		return []tile{{128, 16, 6, 0.2, 0, false}}
	}
	return []tile{{64, 64, 4, 0.2, 30, false}}
}

// narrowest is the columns of the narrowest tile whose products leave statistics.
const narrowest = 64

// What does not depend on the card.
const (
	launch      = 3e-6 // s
	leastSteps  = 4    // of a block that shares a sum
	mostSplits  = 64
	stepInBytes = 64   // of k
	stages      = 3    // steps in shared memory
	mostShared  = 1024 // tiles of a launch that blocks share, as in product.cuh
	mostParts   = 16   // blocks that share a tile and add up themselves: the last to come reads what all have left
)

// rates are a card as its products are cut by it.
type rates struct {
	processors             int
	tensorPeak, scalarPeak float64 // FLOP/s of one of them
	bandwidth              float64 // bytes/s, also of what stays in the L2 cache, to be on the safe side
	blockStart             float64 // s to fill the pipeline and to write the result
	shared                 int     // bytes of shared memory of a multiprocessor
	issue                  bool    // the share of the peak that a tile reaches follows from the instructions of its loop
	secondPass             float64 // s to launch it
	cache, cached          float64 // bytes that the second cache holds, and bytes/s from it; 0: not known
}

// usual is what forward products of any card are split by, and all of a card that is not known: an H100,
// whose mma.sync reaches about 0.6 of the 990 TFLOP/s of wgmma.
var usual = rates{processors: 132, tensorPeak: 600e12 / 132, scalarPeak: 57e12 / 132, bandwidth: 2.5e12, blockStart: 2e-6, shared: 228 << 10, secondPass: launch}

func ratesOf(c cuda.Card) rates {
	if c.Multiprocessors == 0 || c.Tensor == 0 || c.Bandwidth == 0 {
		return usual
	}
	const cacheBytes, cacheShare = 20, 0.6 // a cycle of a multiprocessor; of the cache: engine/device/model
	return rates{
		processors: c.Multiprocessors, tensorPeak: c.TensorPeak(), scalarPeak: c.ScalarPeak(), bandwidth: 0.75 * float64(c.Bandwidth), blockStart: 2e-6, shared: c.Shared, issue: true,
		secondPass: 2.5e-6, cache: cacheShare * float64(c.L2), cached: cacheBytes * float64(c.ClockHz) * float64(c.Multiprocessors),
	}
}

// fits is how many blocks of a tile a multiprocessor holds.
func (r rates) fits(t tile) int {
	return max(1, min(t.resident, r.shared/(t.stages()+1<<10)))
}

// stages is the shared memory of all stages.
func (t tile) stages() int {
	n := stages * (t.m + t.n) * stepInBytes
	if t.pair {
		n *= 2
	}
	return n
}

// handed is the time for so many bytes that blocks leave, and others fetch.
func (r rates) handed(bytes float64) float64 {
	if bytes < r.cache {
		return 2 * bytes / r.cached
	}
	return 2 * bytes / r.bandwidth
}

// efficiency is the share of the tensor cores' peak that a tile reaches. Its loop issues so many
// instructions beside each mma.sync of a warp (SASS, counted); what the two have in common, the
// schedulers, they do not quite share.
func (r rates) efficiency(t tile, clock float64) float64 {
	if !r.issue || t.others == 0 {
		return t.efficient
	}
	const (
		schedulers = 4
		flops      = 2 * 16 * 8 * 16 // of an mma.sync
		overlap    = 0.2
	)
	tensor := flops * schedulers / (r.tensorPeak / clock) // cycles of a scheduler
	issue := 1 + t.others
	return tensor / (max(tensor, issue) + (1-overlap)*min(tensor, issue))
}

// choice is how a product is cut into blocks.
type choice struct {
	tile
	groups             *groupTile // the kernel of gemm_hopper.cu; nil: it is none
	across, down       int        // tiles
	tapTiles           int        // tiles down one tap of the result
	steps, tapSteps    int        // of the sum; of one tap of it
	splits, splitSteps int        // blocks that share a sum, and the steps of each
	together           bool       // who share a sum add it up themselves, the last to come; there is no second pass
	whole              int        // then: tiles that have a block each, and come first
	tileSteps          int        // of a pair: blocks have splitSteps of all tiles' steps, one tile behind the other, tileSteps each; splits are the most parts of a tile
	seconds            float64
}

func ceil(a, b int) int { return (a + b - 1) / b }

// usualImages is the batch size for which the split of a forward product's sums is chosen,
// so that the order of the sums does not depend on the real one. By the model, this costs
// 1 % of the time of forward products in training at batch 128, and half of it in sampling
// at batch 1.
const usualImages = 64

// choose returns the tile and the number of splits that are fastest by a simple model of
// the card. They depend on it and on the shapes alone, and so does the order of the sums. For a
// forward product the order depends neither on the card nor on the number of images, so that an
// image is the same everywhere and whatever else is in its batch.
func choose(p CUDA, a access) choice {
	switch {
	case p.Batch.Images > 0: // products side by side do not share their sums
		return fastest(p, a, 1, 1)
	case p.Kind == NN && !(p.Trains && p.adds(a) && ratesOf(p.Card).cached > 0):
		any := p
		any.Images, any.Card, any.Trains = usualImages, cuda.Card{}, false
		splits := fastest(any, a, 1, mostSplits).splits
		return fastest(p, a, splits, splits)
	}
	return fastest(p, a, 1, mostSplits)
}

// adds says that blocks can add up what they leave themselves: those of tensor cores, where they are not for
// weights, of which more share a sum than one of them could add up in time.
func (p CUDA) adds(a access) bool {
	return p.A.Type == number.BFloat16 && a == direct && p.Kind != TN && p.Batch.Images == 0
}

// fastest is the choice with so many splits at least and at most. The tile does not
// matter to the order of a sum.
func fastest(p CUDA, a access, least, most int) choice {
	best := choice{seconds: math.Inf(1)}
	for _, t := range tilesOf(p.A.Type, a) {
		c := lay(p, a, t)
		for splits := least; splits <= most && (splits == least || splits <= c.steps/leastSteps); splits++ {
			c.splitSteps = max(1, ceil(c.steps, splits))
			c.splits = max(1, ceil(c.steps, c.splitSteps))
			if c.pair {
				c.tileSteps = c.splitSteps * c.splits
			}
			for _, c := range c.sharings(p, a, least < most) {
				if c.seconds = c.estimate(p); c.seconds < best.seconds {
					best = c
				}
			}
		}
		if !c.pair || least == most {
			continue
		}
		r := ratesOf(p.Card)
		for rounds := 1; rounds <= 2*r.fits(c.tile); rounds++ {
			if c := c.acrossTiles(rounds * r.processors); c.splitSteps >= leastSteps {
				if c.seconds = c.estimate(p); c.seconds < best.seconds {
					best = c
				}
			}
		}
	}
	return best
}

// inTiles is so many blocks for each tile.
func (c choice) inTiles(splits int) choice {
	c.splitSteps = max(1, ceil(c.steps, splits))
	c.splits = max(1, ceil(c.steps, c.splitSteps))
	c.tileSteps = c.splitSteps * c.splits
	return c
}

// acrossTiles is so many blocks, or one less, that have all steps of all tiles between them: equal shares, of two tiles where they meet.
func (c choice) acrossTiles(blocks int) choice {
	c.splitSteps, c.tileSteps = max(1, ceil(c.across*c.down*c.steps, blocks)), c.steps
	c.splits = 0
	for tile := range c.across * c.down {
		c.splits = max(c.splits, c.partsOf(tile))
	}
	return c
}

// partsOf a tile of a pair.
func (c choice) partsOf(tile int) int {
	return ((tile+1)*c.tileSteps-1)/c.splitSteps - tile*c.tileSteps/c.splitSteps + 1
}

// alone says that nobody shares a sum with a block of a pair.
func (c choice) alone() bool { return c.splitSteps%c.tileSteps == 0 }

// places are the parts that blocks of a pair have room for.
func (c choice) places() int { return c.blocks() + c.across*c.down }

// partFloats are those places of parts of tiles.
func (c choice) partFloats(alone bool) int {
	if alone {
		return 0
	}
	return c.places() * c.m * c.n
}

// parts are those that blocks of a pair leave.
func (c choice) parts() (parts int) {
	for tile := range c.across * c.down {
		parts += c.partsOf(tile)
	}
	return parts
}

// sharings are the ways in which so many blocks can share sums: of all tiles, with a second pass or
// without; and, if the order of sums is free, of those that a card has left when its multiprocessors had all as many.
func (c choice) sharings(p CUDA, a access, free bool) (all []choice) {
	r := ratesOf(p.Card)
	adds := c.splits > 1 && p.adds(a) && r.cached > 0
	if !adds || !free || p.Kind != NN { // a norm may want statistics of a forward product, which no second pass leaves
		all = append(all, c)
	}
	if !adds || c.splits > mostParts {
		return all
	}
	c.together = true
	tiles, processors := c.across*c.down, r.processors
	for _, whole := range []int{0, tiles/processors*processors - processors, tiles / processors * processors} {
		if c.whole = whole; tiles-whole <= mostShared && whole < tiles && (whole == 0 || free && whole > 0) {
			all = append(all, c)
		}
	}
	return all
}

// lay covers the result with tiles and counts the steps of the sum.
func lay(p CUDA, a access, t tile) choice {
	depth := stepInBytes / p.A.Type.Size()
	c := choice{tile: t, across: ceil(p.Width, t.n), tapTiles: 1, tapSteps: ceil(p.Depth, depth)}
	switch {
	case p.Kind == TN:
		c.steps = ceil(p.pixels(), depth)
		if c.pair = a == direct && p.A.Type == number.BFloat16; c.pair {
			c.resident = max(1, t.resident/2)
		}
		if a == gather {
			c.down = ceil(p.taps()*p.Depth, t.m)
		} else {
			c.tapTiles = ceil(p.Depth, t.m)
			c.down = p.taps() * c.tapTiles
		}
	case a == gather:
		c.down, c.steps = ceil(p.pixels(), t.m), ceil(p.taps()*p.Depth, depth)
	default:
		c.down, c.steps = ceil(p.pixels(), t.m), p.taps()*c.tapSteps
	}
	if c.pair {
		c = c.inTiles(1)
	}
	return c
}

// split is how the blocks of a choice differ.
func (c choice) split() cuda.Split {
	switch {
	case c.pair && !c.alone():
		return cuda.Split{Left: 4 * c.m * c.n * c.parts()}
	case !c.together:
		return cuda.Split{}
	}
	return cuda.Split{Whole: c.whole, Parts: c.splits, Work: float64(c.splitSteps) / float64(c.steps), Fetched: 4 * c.m * c.n * c.splits}
}

// blocks of a launch.
func (c choice) blocks() int {
	switch {
	case c.together:
		return c.whole + (c.across*c.down-c.whole)*c.splits
	case c.pair:
		return ceil(c.across*c.down*c.tileSteps, c.splitSteps)
	}
	return c.across * c.down * c.splits
}

// estimate is the time on the device: that of the multiprocessor with the most blocks, plus
// what adds up shared sums. Resident blocks hide latencies: with one of the many that
// fit, a multiprocessor is taken to reach about half of its rate, with all of them all of it.
func (c choice) estimate(p CUDA) float64 {
	r := ratesOf(p.Card)
	peak := r.tensorPeak * r.efficiency(c.tile, float64(p.Card.ClockHz))
	if p.A.Type == number.Float32 {
		peak = r.scalarPeak * c.efficient
	}
	blocks := c.blocks() * max(1, p.Batch.Images*p.Batch.Heads)
	own, resident := float64(ceil(blocks, r.processors)), float64(r.fits(c.tile))
	fill := min(1, 0.5+0.5*own/resident)
	steps := own * float64(c.splitSteps)
	if c.together {
		steps = c.split().Busiest(blocks, r.processors) * float64(c.steps)
	}
	flops := 2 * float64(c.m*c.n*stepInBytes/p.A.Type.Size())
	seconds := steps*flops/(peak*fill) + r.blockStart*math.Ceil(own/resident)
	switch {
	case c.pair && !c.alone():
		if c.tileSteps%c.splitSteps != 0 { // another tile: its first loads, and results
			seconds += r.blockStart * math.Ceil(own/resident)
		}
		seconds += r.secondPass + r.handed(float64(4*c.m*c.n*c.parts()))
	case c.together:
		const arrival = 0.6e-6 // engine/device/model
		alone := float64(c.split().Fetched) / (r.cached / float64(r.processors))
		seconds += arrival + alone + r.handed(float64(4*c.m*c.n*(blocks-c.whole)))
	case !c.pair && c.splits > 1:
		seconds += r.secondPass + r.handed(float64(4*c.splits*p.rows()*p.Width))
	}
	return seconds
}

// chunkSteps are those in which all taps meet a chunk of 128 bytes of k.
func (c choice) chunkSteps(p CUDA) int {
	switch {
	case c.groups == nil:
		return 2 * p.taps()
	case c.groups.tall: // a step is a column of taps
		return p.X.Taps
	}
	return p.taps()
}

// turns is how many take turns in summing the columns of B: blocks above each other or, by wgmma, groups of theirs.
func (c choice) turns() int {
	if c.groups == nil {
		return c.down
	}
	return c.down * ((c.groups.threads - 1) / groupThreads) // the rest copies
}

func (c choice) function(k Kind, a access, t number.Type) string {
	variant := [...]string{"", "_gather_b", "_gather"}[a]
	return fmt.Sprintf("gemm_%v_%dx%d%s_%s", k, c.m, c.n, variant, suffix(t))
}

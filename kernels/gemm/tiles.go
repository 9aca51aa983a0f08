package gemm

import (
	"fmt"
	"math"

	"fluxion/kernels/number"
)

// tile is one of the compiled kernels: the part of the result that a block of 128
// threads computes.
type tile struct {
	m, n      int
	resident  int     // blocks on a multiprocessor (kernels/cuda/resources.tsv, sm_90a)
	efficient float64 // share of the peak of its instruction that a full multiprocessor is taken to reach
}

// tilesOf lists what was compiled, the largest first.
func tilesOf(t number.Type, a access) []tile {
	switch {
	case t == number.Float32 && a == direct:
		return []tile{{128, 64, 2, 0.7}}
	case t == number.Float32:
		return []tile{{64, 64, 3, 0.3}}
	case a == direct:
		return []tile{{128, 128, 2, 1}, {128, 64, 3, 0.85}, {64, 64, 4, 0.65}}
	case a == gatherB:
		return []tile{{128, 16, 6, 0.2}}
	}
	return []tile{{64, 64, 4, 0.2}}
}

// An H100, to choose by; on other devices the choice is as good as their
// proportions are alike. mma.sync reaches about 0.6 of the 990 TFLOP/s of wgmma.
const (
	processors  = 132
	tensorPeak  = 600e12 / processors // FLOP/s of one of them
	scalarPeak  = 57e12 / processors
	bandwidth   = 2.5e12 // bytes/s, also of what stays in the L2 cache, to be on the safe side
	launch      = 3e-6   // s
	blockStart  = 2e-6   // s to fill the pipeline and to write the result
	leastSteps  = 4      // of a block that shares a sum
	mostSplits  = 64
	stepInBytes = 64 // of k
)

// choice is how a product is cut into blocks.
type choice struct {
	tile
	across, down       int // tiles
	tapTiles           int // tiles down one tap of the result
	steps, tapSteps    int // of the sum; of one tap of it
	splits, splitSteps int // blocks that share a sum, and the steps of each
	seconds            float64
}

func ceil(a, b int) int { return (a + b - 1) / b }

// usualImages is the batch size for which the split of a forward product's sums is chosen,
// so that the order of the sums does not depend on the real one. By the model, this costs
// 1 % of the time of forward products in training at batch 128, and half of it in sampling
// at batch 1.
const usualImages = 64

// choose returns the tile and the number of splits that are fastest by a simple model of
// the device. They depend on the shapes alone, and so does the order of the sums. For a
// forward product the order does not depend on the number of images either, so that an
// image is the same whatever else is in its batch.
func choose(p CUDA, a access) choice {
	switch {
	case p.Batch.Images > 0: // products side by side do not share their sums
		return fastest(p, a, 1, 1)
	case p.Kind == NN:
		usual := p
		usual.Images = usualImages
		splits := fastest(usual, a, 1, mostSplits).splits
		return fastest(p, a, splits, splits)
	}
	return fastest(p, a, 1, mostSplits)
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
			if c.seconds = c.estimate(p); c.seconds < best.seconds {
				best = c
			}
		}
	}
	return best
}

// lay covers the result with tiles and counts the steps of the sum.
func lay(p CUDA, a access, t tile) choice {
	depth := stepInBytes / p.A.Type.Size()
	c := choice{tile: t, across: ceil(p.Width, t.n), tapTiles: 1, tapSteps: ceil(p.Depth, depth)}
	switch {
	case p.Kind == TN:
		c.steps = ceil(p.pixels(), depth)
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
	return c
}

// estimate is the time on the device: that of the multiprocessor with the most blocks, plus
// the second pass over split sums. Resident blocks hide latencies: with one of the many that
// fit, a multiprocessor is taken to reach about half of its rate, with all of them all of it.
func (c choice) estimate(p CUDA) float64 {
	peak := tensorPeak
	if p.A.Type == number.Float32 {
		peak = scalarPeak
	}
	blocks := c.across * c.down * c.splits * max(1, p.Batch.Images*p.Batch.Heads)
	own := float64(ceil(blocks, processors))
	fill := min(1, 0.5+0.5*own/float64(c.resident))
	flops := 2 * float64(c.m*c.n*c.splitSteps*stepInBytes/p.A.Type.Size())
	seconds := own*flops/(peak*c.efficient*fill) + blockStart*math.Ceil(own/float64(c.resident))
	if c.splits > 1 {
		seconds += launch + 8*float64(c.splits*p.rows()*p.Width)/bandwidth
	}
	return seconds
}

func (c choice) function(k Kind, a access, t number.Type) string {
	variant := [...]string{"", "_gather_b", "_gather"}[a]
	return fmt.Sprintf("gemm_%v_%dx%d%s_%s", k, c.m, c.n, variant, suffix(t))
}

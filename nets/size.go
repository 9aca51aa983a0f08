package nets

import "math"

// The largest network that is taken from a file. Each bound is far beyond what was
// ever published, and together they keep every product below within an int64, so that
// a broken or hostile file is refused by arithmetic, before anything of its size is made.
const (
	mostLevels   = 13      // so many halve mostSide to one pixel
	mostSide     = 4096    // published networks of pixels end at 1024
	mostLayers   = 64      // published: 2 to 4
	mostBlocks   = 512     // of all levels together: more take minutes to plan; published: below 50
	mostChannels = 1 << 14 // published: 2048
	mostRows     = 1 << 20 // of a table of classes or times; ImageNet-21k has 21,841
)

// mostWeights is 64 GiB of float32, thirty times the largest UNet2DModel.
const mostWeights = 1 << 34

func (c Config) checkSize() error {
	if blocks := len(c.BlockOutChannels) * (2*c.LayersPerBlock + 1); blocks > mostBlocks {
		return refuse("layers_per_block", "is %d: %d blocks in %d levels, want at most %d", c.LayersPerBlock, blocks, len(c.BlockOutChannels), mostBlocks)
	}
	if n := c.Weights(); n > mostWeights {
		return refuse("block_out_channels", "is %v, which makes %d weights, want at most %d", c.BlockOutChannels, n, int64(mostWeights))
	}
	return nil
}

// Weights is the number of weights. It lists them, at most some thousand, and makes
// none; it does not overflow where every key is within its bounds.
func (c Config) Weights() int64 {
	n := int64(0)
	for _, p := range c.Params() {
		n += int64(p.Size())
	}
	return n
}

// Activations bounds from below the floats that the layers of the network give for one
// image of a size; a training step keeps most of them at once. Nothing is made to
// count them. It is math.MaxInt64 where there are more than an int64 counts.
func (c Config) Activations(height, width int) int64 {
	pixels, ok := product(int64(height), int64(width))
	if !ok {
		return math.MaxInt64
	}
	total := int64(0)
	add := func(channels int) {
		more, fits := product(pixels, int64(channels))
		if total += more; !fits || total < 0 {
			ok, total = false, 0
		}
	}
	level := func(l level) {
		for _, r := range l.resnets {
			for _, channels := range []int{r.in, r.out, r.out, r.out} { // each norm's and each convolution's
				add(channels)
			}
			if l.attention {
				add(5 * l.channels) // norm, q, k, v and what comes of them
			}
		}
	}
	for _, l := range c.downLevels() {
		level(l)
		if l.resample != "" {
			pixels /= 4
			add(l.channels)
		}
	}
	for _, l := range c.upLevels() {
		level(l)
		if l.resample != "" {
			pixels *= 4
			add(l.channels)
		}
	}
	if !ok {
		return math.MaxInt64
	}
	return total
}

func product(a, b int64) (int64, bool) {
	if a != 0 && b > math.MaxInt64/a {
		return 0, false
	}
	return a * b, true
}

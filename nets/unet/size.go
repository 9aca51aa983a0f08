package unet

import "fluxion/nets"

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
		return nets.Refuse("layers_per_block", "is %d: %d blocks in %d levels, want at most %d", c.LayersPerBlock, blocks, len(c.BlockOutChannels), mostBlocks)
	}
	if n := c.weights(); n > mostWeights {
		return nets.Refuse("block_out_channels", "is %v, which makes %d weights, want at most %d", c.BlockOutChannels, n, int64(mostWeights))
	}
	return nil
}

// weights is the number of weights. It lists them, at most some thousand, and makes
// none; it does not overflow where every key is within its bounds.
func (c Config) weights() int64 {
	n := int64(0)
	for _, p := range nets.Params(c) {
		n += int64(p.Size())
	}
	return n
}

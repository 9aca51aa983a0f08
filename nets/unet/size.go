package unet

import "fluxion/nets"

// The largest network that is taken from a file. Each bound is far beyond what was
// ever published, and together they keep the number of weights within an int, so that
// a broken or hostile file is refused by arithmetic, before anything of its size is made.
const (
	mostLevels   = 13      // so many halve mostSide to one pixel
	mostSide     = 4096    // published networks of pixels end at 1024
	mostLayers   = 64      // published: 2 to 4
	mostBlocks   = 512     // of all levels together: more take minutes to plan; published: below 50
	mostChannels = 1 << 14 // published: 2048
	mostRows     = 1 << 20 // of a table of classes or times; ImageNet-21k has 21,841
)

func (c Config) checkSize() error {
	if blocks := len(c.BlockOutChannels) * (2*c.LayersPerBlock + 1); blocks > mostBlocks {
		return nets.Refuse("layers_per_block", "is %d: %d blocks in %d levels, want at most %d", c.LayersPerBlock, blocks, len(c.BlockOutChannels), mostBlocks)
	}
	// The weights are listed, at most some thousand, and none is made.
	if n := nets.Count(nets.Params(c)); n > nets.MostWeights {
		return nets.Refuse("block_out_channels", "is %v, which makes %d weights, want at most %d", c.BlockOutChannels, n, nets.MostWeights)
	}
	return nil
}

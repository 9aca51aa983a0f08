package unet

import "fluxion/nets"

// mostBlocks are those of all levels together: more take minutes to plan; published: below 50.
const mostBlocks = 512

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

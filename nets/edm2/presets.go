package edm2

import "fluxion/nets"

// Class is FluxionEDM2UNet, for the list of all networks.
func Class() nets.Class {
	return nets.Class{
		Name:    className,
		Parse:   func(data []byte, ignore ...string) (nets.Network, error) { return ParseConfig(data, ignore...) },
		Presets: presets(),
	}
}

// presets are the networks by name.
func presets() []nets.Preset {
	micro := Default()
	micro.SampleSize, micro.ModelChannels, micro.ChannelMult, micro.NumBlocks, micro.AttentionLevels, micro.AttentionHeadDim = []int{32}, 8, []int{1, 2}, 1, []int{1}, 8
	small := Default()
	latents := Default()
	latents.InChannels, latents.OutChannels, latents.ModelChannels = 4, 4, 128
	of := func(lr float64) nets.Recipe {
		return nets.Recipe{
			LR: lr, Batch: 8, Warmup: 500, Decay: 0.3, Beta2: 0.99, Clip: 1, EMA: 20_000, LabelDrop: 0.1,
			Images: 1_000_000, CheckpointEvery: 10_000, SampleEvery: 20_000,
		}
	}
	return []nets.Preset{
		{Name: "edm2-micro", Summary: "EDM2's network of two tiny levels, for tests", Network: micro, Recipe: nets.Recipe{
			LR: 1e-2, Batch: 8, Warmup: 500, Decay: 0.3, Beta2: 0.99, Clip: 1, EMA: 2_000, LabelDrop: 0.1,
			Images: 17_000, CheckpointEvery: 5_000, SampleEvery: 8_500,
		}},
		{Name: "edm2-xs", Summary: "EDM2-XS, for latents of 64×64; it is told ln(σ)/4, as output edm has it, or t", Network: latents, Recipe: of(2e-3)},
		{Name: "edm2-s", Summary: "EDM2-S, for images of 64×64; times as edm2-xs", Network: small, Recipe: of(2e-3)},
	}
}

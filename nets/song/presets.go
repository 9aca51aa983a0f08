package song

import "fluxion/nets"

// Class is FluxionSongUNet, for the list of all networks.
func Class() nets.Class {
	return nets.Class{
		Name:    className,
		Parse:   func(data []byte, ignore ...string) (nets.Network, error) { return ParseConfig(data, ignore...) },
		Presets: presets(),
	}
}

// presets are the networks by name. Their settings for CIFAR-10 are those of preset cifar.
func presets() []nets.Preset {
	micro := Default()
	micro.ModelChannels, micro.ChannelMult, micro.NumBlocks, micro.EncoderType, micro.ResampleFilter = 8, []int{1, 2}, 1, residual, []int{1, 3, 3, 1}
	cifar := nets.Recipe{
		LR: 2e-4, Batch: 8, Warmup: 500, Decay: 0.3, Beta2: 0.99, Clip: 1, EMA: 20_000, LabelDrop: 0.1, Flip: true,
		Images: 1_000_000, CheckpointEvery: 10_000, SampleEvery: 20_000,
	}
	return []nets.Preset{
		{Name: "ncsnpp-micro", Summary: "NCSN++ of two tiny levels, for tests", Network: micro, Recipe: nets.Recipe{
			LR: 1.5e-3, Batch: 8, Warmup: 500, Decay: 0.3, Beta2: 0.99, Clip: 1, EMA: 2_000, LabelDrop: 0.1,
			Images: 17_000, CheckpointEvery: 5_000, SampleEvery: 8_500,
		}},
		{Name: "ddpmpp", Summary: "DDPM++, EDM's network for CIFAR-10", Network: Default(), Recipe: cifar},
	}
}

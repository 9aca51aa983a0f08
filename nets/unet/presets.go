package unet

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/nets"
)

// A preset is a network, as a change to the defaults of diffusers, and how it is
// trained. A new one is one more row. engine/BENCHMARKS.md has what each learns,
// and scripts/check_presets.sh measures it.
var table = []struct {
	name, summary string
	recipe        nets.Recipe
	set           func(*Config)
}{
	{"micro", "two tiny levels with attention, for tests", nets.Recipe{
		LR: 1.5e-3, Batch: 8, Warmup: 500, Decay: 0.3, Beta2: 0.99, Clip: 1, EMA: 2_000, LabelDrop: 0.1,
		Images: 17_000, CheckpointEvery: 5_000, SampleEvery: 8_500,
	}, func(c *Config) {
		c.levels(32, "DownBlock2D 8", "AttnDownBlock2D 16")
		c.LayersPerBlock, c.NormNumGroups, c.AttentionHeadDim = 1, 4, 8
	}},
	{"tiny", "minutes on a CPU: 32×32, attention at 16×16", nets.Recipe{
		LR: 1.5e-3, Batch: 8, Warmup: 500, Decay: 0.3, Beta2: 0.99, Clip: 1, EMA: 2_000, LabelDrop: 0.1,
		Images: 17_000, CheckpointEvery: 5_000, SampleEvery: 8_500,
	}, func(c *Config) {
		c.levels(32, "DownBlock2D 32", "AttnDownBlock2D 64", "DownBlock2D 64")
		c.LayersPerBlock, c.NormNumGroups, c.AttentionHeadDim = 1, 8, 32
	}},
	{"small", "an hour on a CPU: 32×32, attention at 16×16", nets.Recipe{
		LR: 1e-3, Batch: 8, Warmup: 500, Decay: 0.3, Beta2: 0.99, Clip: 1, EMA: 5_000, LabelDrop: 0.1,
		Images: 100_000, CheckpointEvery: 10_000, SampleEvery: 20_000,
	}, func(c *Config) {
		c.levels(32, "DownBlock2D 64", "AttnDownBlock2D 128", "DownBlock2D 128")
		c.AttentionHeadDim = 64
	}},
	// The network of Ho et al. 2020 for CIFAR-10, as google/ddpm-cifar10-32 has it.
	{"cifar", "DDPM's CIFAR-10 network (google/ddpm-cifar10-32)", nets.Recipe{
		LR: 2e-4, Batch: 8, Warmup: 500, Decay: 0.3, Beta2: 0.99, Clip: 1, EMA: 20_000, LabelDrop: 0.1, Flip: true,
		Images: 1_000_000, CheckpointEvery: 10_000, SampleEvery: 20_000,
	}, func(c *Config) {
		c.levels(32, "DownBlock2D 128", "AttnDownBlock2D 256", "DownBlock2D 256", "DownBlock2D 256")
		c.likeDDPM()
	}},
	// The network of Nichol and Dhariwal 2021 for CIFAR-10: 52.5 million weights with their variance.
	{"iddpm", "improved DDPM's CIFAR-10 network, with scales and shifts by time", nets.Recipe{
		LR: 2e-4, Batch: 8, Warmup: 500, Decay: 0.3, Beta2: 0.99, Clip: 1, EMA: 20_000, LabelDrop: 0.1, Flip: true,
		Images: 1_000_000, CheckpointEvery: 10_000, SampleEvery: 20_000,
	}, func(c *Config) {
		c.levels(32, "DownBlock2D 128", "AttnDownBlock2D 256", "AttnDownBlock2D 256", "DownBlock2D 256")
		c.LayersPerBlock, c.AttentionHeadDim, c.ResnetTimeScaleShift = 3, 64, "scale_shift"
	}},
	// The network of Song et al. 2020 (DDIM) for CelebA 64×64, configs/celeba.yml:
	// DDPM's with channels 128·(1, 2, 2, 2, 4); 78.7 million weights. Its dropout of 0.1 is left out.
	{"ddpm64", "DDPM's network at 64×64, as DDIM used it for CelebA", nets.Recipe{
		LR: 2e-4, Batch: 8, Warmup: 500, Decay: 0.3, Beta2: 0.99, Clip: 1, EMA: 20_000, LabelDrop: 0.1, Flip: true,
		Images: 1_000_000, CheckpointEvery: 10_000, SampleEvery: 20_000,
	}, func(c *Config) {
		c.levels(64, "DownBlock2D 128", "DownBlock2D 256", "AttnDownBlock2D 256", "DownBlock2D 256", "DownBlock2D 512")
		c.likeDDPM()
	}},
}

// levels sets the image size and the levels, finest first, each the name of a
// down block and its channels; the up blocks mirror them.
func (c *Config) levels(size int, levels ...string) {
	c.SampleSize = []int{size}
	c.DownBlockTypes, c.UpBlockTypes, c.BlockOutChannels = nil, nil, nil
	for _, l := range levels {
		var block string
		var channels int
		if _, err := fmt.Sscan(l, &block, &channels); err != nil {
			panic(fmt.Sprintf("preset level %q: %v", l, err))
		}
		c.DownBlockTypes = append(c.DownBlockTypes, block)
		c.UpBlockTypes = append(c.UpBlockTypes, strings.Replace(block, "Down", "Up", 1))
		c.BlockOutChannels = append(c.BlockOutChannels, channels)
	}
	slices.Reverse(c.UpBlockTypes)
}

// likeDDPM sets what the converted checkpoints of the DDPM paper have in common.
func (c *Config) likeDDPM() {
	c.AttentionHeadDim = 0
	c.DownsamplePadding = 0
	c.FlipSinToCos = false
	c.FreqShift = nets.Number{Value: 1, Whole: true}
	c.NormEps = nets.Number{Value: 1e-6}
}

// presets are the rows of the table with their networks.
func presets() []nets.Preset {
	var list []nets.Preset
	for _, p := range table {
		c := Default()
		p.set(&c)
		list = append(list, nets.Preset{Name: p.name, Summary: p.summary, Recipe: p.recipe, Network: c})
	}
	return list
}

// Preset returns a configuration by name.
func Preset(name string) (Config, error) {
	p, err := nets.Classes{Class()}.Preset(name)
	if err != nil {
		return Config{}, err
	}
	return p.Network.(Config), nil
}

// Package edm reads networks of EDM's own files (Karras et al. 2022): DDPM++ and NCSN++ as
// package song has them, and ADM's UNet (Dhariwal and Nichol 2021), which is a UNet2DModel.
//
// EDM's files are pickled programs, which are not read. In EDM's own Python they become a
// folder that is:
//
//	net = pickle.load(open("edm.pkl", "rb"))["ema"]
//	save_file({k: v.float().contiguous() for k, v in net.state_dict().items()}, "DIR/diffusion_pytorch_model.safetensors")
//	json.dump({"_class_name": "EDMPrecond", **net.init_kwargs}, open("DIR/config.json", "w"))
//	json.dump({"_class_name": "EDMEulerScheduler"}, open("DIR/scheduler/scheduler_config.json", "w"))
package edm

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/nets"
	"fluxion/nets/song"
	"fluxion/nets/unet"
)

const className = "EDMPrecond"

// The values of model_type.
const (
	songUNet     = "SongUNet"
	dhariwalUNet = "DhariwalUNet"
)

// arguments are those of EDM's constructors that say what a network is.
type arguments struct {
	resolution, channels, labels     int
	kind                             string
	modelChannels                    int
	channelMult, attention, filter   []int
	multNoise, multEmb, blocks       int
	embedding, encoder, decoder      string
	dropout                          nets.Number
	sigmaOfData                      nets.Number
	augment                          int
	labelDropout, sigmaMin, sigmaMax nets.Number
	half                             bool
	meta                             map[string]any
}

func (a *arguments) keys() []nets.Key {
	return []nets.Key{
		{Name: "img_resolution", Place: &a.resolution}, {Name: "img_channels", Place: &a.channels}, {Name: "label_dim", Place: &a.labels},
		{Name: "model_type", Place: &a.kind}, {Name: "model_channels", Place: &a.modelChannels}, {Name: "channel_mult", Place: &a.channelMult},
		{Name: "channel_mult_emb", Place: &a.multEmb}, {Name: "num_blocks", Place: &a.blocks}, {Name: "attn_resolutions", Place: &a.attention},
		{Name: "dropout", Place: &a.dropout}, {Name: "embedding_type", Place: &a.embedding}, {Name: "channel_mult_noise", Place: &a.multNoise},
		{Name: "encoder_type", Place: &a.encoder}, {Name: "decoder_type", Place: &a.decoder}, {Name: "resample_filter", Place: &a.filter},
		// What changes nothing of the network as it is used here.
		{Name: "augment_dim", Place: &a.augment}, {Name: "label_dropout", Place: &a.labelDropout}, {Name: "use_fp16", Place: &a.half},
		{Name: "sigma_min", Place: &a.sigmaMin}, {Name: "sigma_max", Place: &a.sigmaMax}, {Name: "sigma_data", Place: &a.sigmaOfData},
	}
}

// read reads the arguments; those that are missing have EDM's defaults.
func read(data []byte, ignore []string) (a arguments, notes []string, err error) {
	a = arguments{
		channels: 3, kind: dhariwalUNet, multEmb: 4, multNoise: 1, embedding: "positional", encoder: "standard", decoder: "standard",
		filter: []int{1, 1}, sigmaOfData: nets.Number{Value: 0.5}, meta: map[string]any{},
	}
	if notes, err = nets.ParseKeys(data, className, a.keys(), a.meta, func(string, any) bool { return false }, ignore); err != nil {
		return a, nil, err
	}
	switch a.kind {
	case songUNet:
		a.defaults(128, []int{1, 2, 2, 2}, 4, []int{16})
	case dhariwalUNet:
		a.defaults(192, []int{1, 2, 3, 4}, 3, []int{32, 16, 8})
	default:
		return a, nil, nets.Refuse("model_type", "is %q; supported: %s, %s", a.kind, songUNet, dhariwalUNet)
	}
	switch {
	case a.resolution < 1 || a.resolution > 4096:
		return a, nil, nets.Refuse("img_resolution", "is %d, want 1 to 4096", a.resolution)
	case a.decoder != "standard":
		return a, nil, nets.Refuse("decoder_type", "is %q; supported: standard", a.decoder)
	case a.labels < 0 || a.labels > 1<<20:
		return a, nil, nets.Refuse("label_dim", "is %d, want 0 to %d", a.labels, 1<<20)
	case len(a.channelMult) > 13:
		return a, nil, nets.Refuse("channel_mult", "has %d levels, want at most 13", len(a.channelMult))
	case a.sigmaOfData.Value != 0.5:
		notes = append(notes, fmt.Sprintf("sigma_data is %g: output edm is for 0.5", a.sigmaOfData.Value))
	}
	return a, notes, nil
}

func (a *arguments) defaults(channels int, mult []int, blocks int, attention []int) {
	if a.modelChannels == 0 {
		a.modelChannels = channels
	}
	if a.channelMult == nil {
		a.channelMult = mult
	}
	if a.blocks == 0 {
		a.blocks = blocks
	}
	if a.attention == nil {
		a.attention = attention
	}
}

// classes is how many classes the network is told, that for none among them.
func (a arguments) classes() int {
	if a.labels == 0 {
		return 0
	}
	return a.labels + 1
}

func (a arguments) attends(level int) bool { return slices.Contains(a.attention, a.resolution>>level) }

// network is the same network as one of ours.
func (a arguments) network() (nets.Network, error) {
	if a.kind == songUNet {
		c := song.Default()
		c.SampleSize, c.InChannels, c.OutChannels = []int{a.resolution}, a.channels, a.channels
		c.ModelChannels, c.ChannelMult, c.NumBlocks, c.NumClassEmbeds = a.modelChannels, a.channelMult, a.blocks, a.classes()
		c.ChannelMultNoise, c.ChannelMultEmb, c.EmbeddingType, c.EncoderType, c.ResampleFilter = a.multNoise, a.multEmb, a.embedding, a.encoder, a.filter
		c.AttentionLevels = []int{}
		for level := range a.channelMult {
			if a.attends(level) {
				c.AttentionLevels = append(c.AttentionLevels, level)
			}
		}
		return c, c.Validate()
	}
	c := unet.Default()
	c.SampleSize, c.InChannels, c.OutChannels = []int{a.resolution}, a.channels, a.channels
	c.DownBlockTypes, c.UpBlockTypes, c.BlockOutChannels = nil, nil, nil
	for level, m := range a.channelMult {
		n := m * a.modelChannels
		if n < 128 {
			return nil, nets.Refuse("model_channels", "is %d: EDM's norms of %d channels have less than 32 groups, those of UNet2DModel as many everywhere; want 128 channels or more", a.modelChannels, n)
		}
		down, up := "ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"
		if a.attends(level) {
			down, up = "AttnDownBlock2D", "AttnUpBlock2D"
		}
		c.DownBlockTypes, c.UpBlockTypes, c.BlockOutChannels = append(c.DownBlockTypes, down), append(c.UpBlockTypes, up), append(c.BlockOutChannels, n)
	}
	slices.Reverse(c.UpBlockTypes)
	c.LayersPerBlock, c.TimeEmbeddingDim, c.NumClassEmbeds = a.blocks, a.multEmb*a.modelChannels, a.classes()
	c.DownsampleType, c.UpsampleType, c.ResnetTimeScaleShift, c.AttnNormNumGroups, c.AttentionHeadDim = "resnet", "resnet", "scale_shift", 32, 64
	return c, c.Validate()
}

// Class is EDM's, for the list of all networks.
func Class() nets.Class {
	return nets.Class{
		Name:       className,
		ModernName: func(name string) string { return strings.TrimPrefix(name, "model.") },
		Import:     parse,
	}
}

func parse(data []byte, ignore ...string) (nets.Import, error) {
	a, notes, err := read(data, ignore)
	if err != nil {
		return nets.Import{}, err
	}
	n, err := a.network()
	if err != nil {
		return nets.Import{}, err
	}
	return nets.Import{Network: n.WithNotes(notes...), Source: a.source, Idle: idle}, nil
}

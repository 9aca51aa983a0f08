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
	"cmp"
	"math"
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
	if a, notes, err = defaults(dhariwalUNet).parsed(data, ignore); err == nil && a.kind == songUNet { // whose defaults are others
		a, notes, err = defaults(songUNet).parsed(data, ignore)
	}
	if err != nil {
		return a, nil, err
	}
	more, err := nets.CheckSigmaOfData(a.sigmaOfData)
	return a, append(notes, more...), cmp.Or(err, a.validate())
}

// defaults are EDM's, of a model_type.
func defaults(kind string) arguments {
	a := arguments{
		channels: 3, kind: dhariwalUNet, multEmb: 4, multNoise: 1, embedding: "positional", encoder: "standard", decoder: "standard",
		filter: []int{1, 1}, sigmaOfData: nets.Number{Value: 0.5}, sigmaMax: nets.Number{Value: math.Inf(1)}, meta: map[string]any{},
	}
	if kind == songUNet {
		a.modelChannels, a.channelMult, a.blocks, a.attention = 128, []int{1, 2, 2, 2}, 4, []int{16}
	} else {
		a.modelChannels, a.channelMult, a.blocks, a.attention = 192, []int{1, 2, 3, 4}, 3, []int{32, 16, 8}
	}
	return a
}

// parsed are the arguments, with what a file says.
func (a arguments) parsed(data []byte, ignore []string) (arguments, []string, error) {
	notes, err := nets.ParseKeys(data, className, a.keys(), a.meta, func(string, any) bool { return false }, ignore)
	return a, notes, err
}

// validate refuses arguments by their own names, those that are of no use here among them.
func (a arguments) validate() error {
	share := func(key string, n nets.Number) error {
		if !(n.Value >= 0 && n.Value <= 1) {
			return nets.Refuse(key, "is %g, want a share from 0 to 1", n.Value)
		}
		return nil
	}
	err := cmp.Or(
		nets.CheckWithin("img_resolution", a.resolution, 1, nets.MostSide), nets.CheckWithin("img_channels", a.channels, 1, nets.MostChannels),
		nets.CheckWithin("label_dim", a.labels, 0, nets.MostRows-1), nets.CheckWithin("model_channels", a.modelChannels, 4, nets.MostChannels),
		nets.CheckWithin("channel_mult_emb", a.multEmb, 1, mostMult), nets.CheckWithin("channel_mult_noise", a.multNoise, 1, mostMult),
		nets.CheckWithin("num_blocks", a.blocks, 1, nets.MostLayers), nets.CheckEach("attn_resolutions", a.attention, 1, nets.MostSide),
		nets.CheckWithin("augment_dim", a.augment, 0, nets.MostChannels), nets.CheckDropout(a.dropout), share("label_dropout", a.labelDropout),
	)
	switch n := len(a.channelMult); {
	case err != nil:
		return err
	case a.kind != songUNet && a.kind != dhariwalUNet:
		return nets.Refuse("model_type", "is %q; supported: %s, %s", a.kind, songUNet, dhariwalUNet)
	case a.decoder != "standard":
		return nets.Refuse("decoder_type", "is %q; supported: standard", a.decoder)
	case n < 1 || n > nets.MostLevels:
		return nets.Refuse("channel_mult", "has %d levels, want 1 to %d", n, nets.MostLevels)
	case slices.Min(a.channelMult) < 1 || slices.Max(a.channelMult)*a.modelChannels > nets.MostChannels:
		return nets.Refuse("channel_mult", "is %v times %d channels, want 1 to %d channels a level", a.channelMult, a.modelChannels, nets.MostChannels)
	case a.multEmb*a.modelChannels > 4*nets.MostChannels:
		return nets.Refuse("channel_mult_emb", "is %d times %d channels, want at most %d", a.multEmb, a.modelChannels, 4*nets.MostChannels)
	case !(a.sigmaMin.Value >= 0) || math.IsInf(a.sigmaMin.Value, 0):
		return nets.Refuse("sigma_min", "is %g, want a noise level of 0 or more", a.sigmaMin.Value)
	case !(a.sigmaMax.Value > a.sigmaMin.Value):
		return nets.Refuse("sigma_max", "is %g, want a noise level above sigma_min, %g", a.sigmaMax.Value, a.sigmaMin.Value)
	}
	return nil
}

// mostMult is the largest multiple of model_channels that an embedding is wide.
const mostMult = 64

// classes is how many classes the network is told, that for none among them.
func (a arguments) classes() int {
	if a.labels == 0 {
		return 0
	}
	return a.labels + 1
}

func (a arguments) attends(level int) bool { return slices.Contains(a.attention, a.resolution>>level) }

// headDim is the channels of a head of ADM's attention.
const headDim = 64

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
		n, attends := m*a.modelChannels, a.attends(level)
		switch {
		case n < 128:
			return nil, nets.Refuse("model_channels", "is %d: EDM's norms of %d channels have less than 32 groups, those of UNet2DModel as many everywhere; want 128 channels or more", a.modelChannels, n)
		case n%32 != 0:
			return nil, nets.Refuse("model_channels", "is %d, which makes 32 groups of %d channels: they cannot be of one size", a.modelChannels, n)
		case n%headDim != 0 && (attends || level == len(a.channelMult)-1):
			return nil, nets.Refuse("model_channels", "is %d, which makes heads of attention over %d channels; want a multiple of %d there", a.modelChannels, n, headDim)
		}
		down, up := "ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"
		if attends {
			down, up = "AttnDownBlock2D", "AttnUpBlock2D"
		}
		c.DownBlockTypes, c.UpBlockTypes, c.BlockOutChannels = append(c.DownBlockTypes, down), append(c.UpBlockTypes, up), append(c.BlockOutChannels, n)
	}
	slices.Reverse(c.UpBlockTypes)
	c.LayersPerBlock, c.TimeEmbeddingDim, c.NumClassEmbeds = a.blocks, a.multEmb*a.modelChannels, a.classes()
	c.DownsampleType, c.UpsampleType, c.ResnetTimeScaleShift, c.AttnNormNumGroups, c.AttentionHeadDim = "resnet", "resnet", "scale_shift", 32, headDim
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

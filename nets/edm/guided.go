package edm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"fluxion/nets"
	"fluxion/nets/unet"
)

// guidedName is the class of files of guided-diffusion (Dhariwal and Nichol 2021), whose UNet is a
// UNet2DModel. A folder of them is FILE.pt as diffusion_pytorch_model.bin, which is read and not
// run, scheduler/scheduler_config.json, and a config.json of the flags that sample it:
//
//	{"_class_name": "GuidedUNet", "image_size": 64, "num_channels": 192, "num_res_blocks": 3, "attention_resolutions": [32, 16, 8], "num_classes": 1000,
//	 "num_head_channels": 64, "learn_sigma": true, "use_scale_shift_norm": true, "resblock_updown": true, "use_new_attention_order": true}
//
// Those of 128 and 512 pixels have one number of heads for attentions of different widths, and
// half as many channels as sines and cosines of the time, which diffusers' class has not: they
// are sampled and trained here, and diffusers does not open them.
const guidedName = "GuidedUNet"

// Guided is the class of guided-diffusion's networks, for the list of all.
func Guided() nets.Class { return nets.Class{Name: guidedName, Import: readGuided} }

// guided is the flags that say what a network is.
type guided struct {
	size, channels, blocks, classes        int
	headDim, heads, headsUp                int // channels of a head, or, where that is −1, how many heads there are; headsUp −1: as many on the way up
	mult                                   []nets.Number
	attention                              []int
	variance, scaleShift, updown, newOrder bool
	widths                                 []int // channels of the levels, finest first
}

// guidedMult are channel_mult by image_size, where none are said.
var guidedMult = map[int][]float64{64: {1, 2, 3, 4}, 128: {1, 1, 2, 3, 4}, 256: {1, 1, 2, 2, 4, 4}, 512: {0.5, 1, 1, 2, 2, 4, 4}}

func readGuided(data []byte, ignore ...string) (nets.Import, error) {
	g := guided{blocks: 2, channels: 128, headDim: -1, heads: 4, headsUp: -1, scaleShift: true, attention: []int{16, 8}}
	var dropout nets.Number
	notes, err := nets.ParseKeys(data, guidedName, []nets.Key{
		{Name: "image_size", Place: &g.size}, {Name: "num_channels", Place: &g.channels}, {Name: "num_res_blocks", Place: &g.blocks},
		{Name: "num_classes", Place: &g.classes}, {Name: "num_head_channels", Place: &g.headDim}, {Name: "channel_mult", Place: &g.mult},
		{Name: "num_heads", Place: &g.heads}, {Name: "num_heads_upsample", Place: &g.headsUp},
		{Name: "attention_resolutions", Place: &g.attention}, {Name: "learn_sigma", Place: &g.variance}, {Name: "use_scale_shift_norm", Place: &g.scaleShift},
		{Name: "resblock_updown", Place: &g.updown}, {Name: "use_new_attention_order", Place: &g.newOrder},
		{Name: "dropout", Place: &dropout}, {Name: "use_fp16", Place: new(bool)}, // which change nothing of the network as it is used here
	}, map[string]any{}, func(string, any) bool { return false }, ignore)
	if err != nil {
		return nets.Import{}, err
	}
	if err := cmp.Or(g.validate(), nets.CheckDropout(dropout)); err != nil {
		return nets.Import{}, err
	}
	n, err := g.network()
	if err != nil {
		return nets.Import{}, err
	}
	return nets.Import{Network: n.WithNotes(notes...), Source: g.source, Idle: func(string) bool { return false }}, nil
}

// validate refuses flags by their own names, and finds the channels of the levels.
func (g *guided) validate() error {
	if g.mult == nil {
		for _, m := range guidedMult[g.size] {
			g.mult = append(g.mult, nets.Number{Value: m})
		}
	}
	err := cmp.Or(
		nets.CheckWithin("image_size", g.size, 1, nets.MostSide), nets.CheckWithin("num_channels", g.channels, 2, nets.MostChannels),
		nets.CheckWithin("num_res_blocks", g.blocks, 1, nets.MostLayers), nets.CheckWithin("num_classes", g.classes, 0, nets.MostRows-1),
		nets.CheckEach("attention_resolutions", g.attention, 1, nets.MostSide), nets.CheckWithin("num_heads", g.heads, 1, nets.MostChannels),
	)
	switch n := len(g.mult); {
	case err != nil:
		return err
	case g.channels%2 != 0:
		return nets.Refuse("num_channels", "is %d, want an even number: half of them are cosines of the time, half sines", g.channels)
	case n < 1 || n > nets.MostLevels:
		return nets.Refuse("channel_mult", "has %d levels; of images of %d pixels say 1 to %d numbers", n, g.size, nets.MostLevels)
	case g.headDim != -1 && (g.headDim < 1 || g.headDim > nets.MostChannels):
		return nets.Refuse("num_head_channels", "is %d, want 1 to %d, or -1 for num_heads", g.headDim, nets.MostChannels)
	case g.headDim == -1 && g.headsUp != -1 && g.headsUp != g.heads:
		return nets.Refuse("num_heads_upsample", "is %d; supported: as many as num_heads, %d, or -1", g.headsUp, g.heads)
	}
	for level, m := range g.mult {
		n := int(m.Value * float64(g.channels)) // cut off, as there
		switch {
		case !(m.Value > 0 && m.Value*float64(g.channels) <= nets.MostChannels):
			return nets.Refuse("channel_mult", "has %g times %d channels, want 1 to %d channels a level", m.Value, g.channels, nets.MostChannels)
		case n < 32 || n%32 != 0:
			return nets.Refuse("num_channels", "is %d, which makes %d channels at level %d of channel_mult; norms of 32 groups want multiples of 32", g.channels, n, level)
		case !g.attends(level) && level < len(g.mult)-1: // the last has attention in the middle
		case g.headDim != -1 && n%g.headDim != 0:
			return nets.Refuse("num_head_channels", "is %d, which does not divide the %d channels of level %d", g.headDim, n, level)
		case g.headDim == -1 && n%g.heads != 0:
			return nets.Refuse("num_heads", "is %d, which does not divide the %d channels of level %d", g.heads, n, level)
		}
		g.widths = append(g.widths, n)
	}
	return nil
}

func (g guided) attends(level int) bool { return slices.Contains(g.attention, g.size>>level) }

// headSize is the channels of a head over so many.
func (g guided) headSize(channels int) int {
	if g.headDim != -1 {
		return g.headDim
	}
	return channels / g.heads
}

// network is the same network as one of diffusers'.
func (g guided) network() (nets.Network, error) {
	c := unet.Default()
	c.SampleSize, c.InChannels, c.OutChannels, c.LayersPerBlock = []int{g.size}, 3, 3, g.blocks
	c.DownBlockTypes, c.UpBlockTypes, c.BlockOutChannels = nil, nil, nil
	heads := []int{g.headSize(g.widths[len(g.widths)-1])} // channels of those that there are
	for level, n := range g.widths {
		down, up := "DownBlock2D", "UpBlock2D"
		switch {
		case g.attends(level):
			down, up = "AttnDownBlock2D", "AttnUpBlock2D"
			heads = append(heads, g.headSize(n))
		case g.updown:
			down, up = "ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"
		}
		c.DownBlockTypes, c.UpBlockTypes, c.BlockOutChannels = append(c.DownBlockTypes, down), append(c.UpBlockTypes, up), append(c.BlockOutChannels, n)
	}
	slices.Reverse(c.UpBlockTypes)
	if g.variance {
		c.OutChannels *= 2
	}
	c.TimeEmbeddingDim, c.AttnNormNumGroups, c.AttentionHeadDim = 4*g.channels, 32, heads[0]
	if slices.Min(heads) != slices.Max(heads) { // which UNet2DModel of diffusers cannot say
		c.AttentionHeadDim, c.Meta[unet.AttentionHeads] = 0, int64(g.heads)
	}
	if g.widths[0] != g.channels { // nor this
		c.Meta[unet.TimeChannels] = int64(g.channels)
	}
	if g.updown {
		c.DownsampleType, c.UpsampleType = "resnet", "resnet"
	}
	if g.scaleShift {
		c.ResnetTimeScaleShift = "scale_shift"
	}
	if g.classes > 0 {
		c.NumClassEmbeds = g.classes + 1 // none, whose row is 0
	}
	return c, c.Validate()
}

// What maps where within blocks; guided.blockNames has the blocks.
var guidedParts = map[string]string{
	"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0", "conv2": "out_layers.3",
	"conv_shortcut": "skip_connection", "group_norm": "norm", "to_out.0": "proj_out", "to_q": "qkv", "to_k": "qkv", "to_v": "qkv", "conv": "",
}

var guidedEnds = map[string]string{
	"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}

// blockNames are guided-diffusion's of our blocks.
func (g guided) blockNames() map[string]string {
	names := map[string]string{"mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1", "mid_block.resnets.1": "middle_block.2"}
	resampled := func(conv string) string { // by a convolution, or a residual block
		if g.updown {
			return ""
		}
		return conv
	}
	last, in, out := len(g.mult)-1, 1, 0
	for level := range g.mult {
		for j := range g.blocks {
			names[fmt.Sprintf("down_blocks.%d.resnets.%d", level, j)] = fmt.Sprintf("input_blocks.%d.0", in)
			names[fmt.Sprintf("down_blocks.%d.attentions.%d", level, j)] = fmt.Sprintf("input_blocks.%d.1", in)
			in++
		}
		if level < last {
			names[fmt.Sprintf("down_blocks.%d.downsamplers.0", level)] = fmt.Sprintf("input_blocks.%d.0", in) + resampled(".op")
			in++
		}
	}
	for up := range g.mult {
		at := 1
		if g.attends(last - up) {
			at = 2
		}
		for j := range g.blocks + 1 {
			names[fmt.Sprintf("up_blocks.%d.resnets.%d", up, j)] = fmt.Sprintf("output_blocks.%d.0", out)
			names[fmt.Sprintf("up_blocks.%d.attentions.%d", up, j)] = fmt.Sprintf("output_blocks.%d.1", out)
			out++
		}
		names[fmt.Sprintf("up_blocks.%d.upsamplers.0", up)] = fmt.Sprintf("output_blocks.%d.%d", out-1, at) + resampled(".conv")
	}
	return names
}

// source says where a parameter of ours lies.
func (g guided) source(p nets.Param) nets.Source {
	if p.Name == nets.ClassTable {
		rows := g.classes * p.Stored[1]
		return nets.Source{Names: []string{"label_emb.weight"}, Sizes: []int{rows}, Make: func(in [][]float32) []float32 {
			return append(slices.Clone(in[0]), make([]float32, p.Size()-rows)...)
		}}
	}
	dot := strings.LastIndexByte(p.Name, '.')
	name, kind := p.Name[:dot], p.Name[dot:]
	if end, ok := guidedEnds[name]; ok {
		return nets.Source{Names: []string{end + kind}}
	}
	for block, theirs := range g.blockNames() {
		part, ok := strings.CutPrefix(name, block+".")
		if !ok {
			continue
		}
		to := theirs
		if inner := guidedParts[part]; inner != "" {
			to += "." + inner
		}
		s := nets.Source{Names: []string{to + kind}}
		if at := slices.Index([]string{"to_q", "to_k", "to_v"}, part); at >= 0 {
			s.Sizes = []int{3 * p.Size()}
			s.Make = func(in [][]float32) []float32 { return g.of(in[0], p.Stored[0], at) }
		}
		return s
	}
	return nets.Source{Names: []string{p.Name}} // which the file lacks
}

// of takes q, k or v of all three: of one behind the other, or, in the old order, of each head.
func (g guided) of(in []float32, rows, at int) (out []float32) {
	width, head := len(in)/(3*rows), g.headSize(rows)
	if g.newOrder {
		head = rows
	}
	for first := 0; first < rows; first += head {
		out = append(out, in[(3*first+at*head)*width:][:head*width]...)
	}
	return out
}

package edm2

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"fluxion/nets"
)

// publishedName is the class of networks of EDM2's own files.
//
// They are pickled programs, which are not read. In EDM2's own Python they become a folder that is:
//
//	net = pickle.load(open("edm2.pkl", "rb"))["ema"]
//	save_file({k: v.float().contiguous() for k, v in net.state_dict().items()}, "DIR/diffusion_pytorch_model.safetensors")
//	json.dump({"_class_name": "EDM2Precond", **net.init_kwargs}, open("DIR/config.json", "w"))
//	json.dump({"_class_name": "EDMEulerScheduler"}, open("DIR/scheduler/scheduler_config.json", "w"))
//
// Those of 512 pixels make latents. Their autoencoder, with their scaling, goes beside them, and
// samples are decoded by it; package autoencoder knows the same scaling as edm2:
//
//	vae = AutoencoderKL.from_pretrained("stabilityai/sd-vae-ft-mse")
//	vae.register_to_config(latents_mean=[5.81, 3.25, 0.12, -2.15], latents_std=[4.17, 4.62, 3.71, 3.28], scaling_factor=0.5)
//	vae.save_pretrained("DIR/vae")
const publishedName = "EDM2Precond"

// Published is the class of EDM2's own networks, for the list of all.
func Published() nets.Class {
	return nets.Class{
		Name:       publishedName,
		ModernName: func(name string) string { return strings.TrimPrefix(name, "unet.") },
		Import:     readPublished,
	}
}

// readPublished reads the arguments of EDM2's constructors; those that are missing have EDM2's defaults.
func readPublished(data []byte, ignore ...string) (nets.Import, error) {
	c := Default()
	p := published{labels: 0, filter: []int{1, 1}}
	attention, sigmaOfData, dropout := []int{16, 8}, nets.Number{Value: 0.5}, nets.Number{}
	resolution, channels, logvar := 0, 0, 128
	notes, err := nets.ParseKeys(data, publishedName, []nets.Key{
		{Name: "img_resolution", Place: &resolution}, {Name: "img_channels", Place: &channels}, {Name: "label_dim", Place: &p.labels},
		{Name: "model_channels", Place: &c.ModelChannels}, {Name: "channel_mult", Place: &c.ChannelMult}, {Name: "num_blocks", Place: &c.NumBlocks},
		{Name: "channel_mult_noise", Place: &c.ChannelMultNoise, Nullable: true}, {Name: "channel_mult_emb", Place: &c.ChannelMultEmb, Nullable: true},
		{Name: "attn_resolutions", Place: &attention}, {Name: "channels_per_head", Place: &c.AttentionHeadDim}, {Name: "label_balance", Place: &c.LabelBalance},
		{Name: "concat_balance", Place: &c.ConcatBalance}, {Name: "res_balance", Place: &c.ResBalance}, {Name: "attn_balance", Place: &c.AttnBalance},
		{Name: "clip_act", Place: &c.ClipAct}, {Name: "resample_filter", Place: &p.filter},
		// What changes nothing of the network as it is used here.
		{Name: "dropout", Place: &dropout}, {Name: "use_fp16", Place: new(bool)}, {Name: "logvar_channels", Place: &logvar}, {Name: "sigma_data", Place: &sigmaOfData},
	}, map[string]any{}, func(string, any) bool { return false }, ignore)
	if err != nil {
		return nets.Import{}, err
	}
	more, err := nets.CheckSigmaOfData(sigmaOfData)
	err = cmp.Or(
		err, nets.CheckWithin("img_resolution", resolution, 1, nets.MostSide), nets.CheckWithin("img_channels", channels, 1, nets.MostChannels),
		nets.CheckWithin("label_dim", p.labels, 0, nets.MostRows-1), nets.CheckWithin("channels_per_head", c.AttentionHeadDim, 1, nets.MostChannels),
		nets.CheckEach("attn_resolutions", attention, 1, nets.MostSide), nets.CheckWithin("logvar_channels", logvar, 1, nets.MostChannels), nets.CheckDropout(dropout),
	)
	switch {
	case err != nil:
		return nets.Import{}, err
	case !slices.Equal(p.filter, []int{1, 1}):
		return nets.Import{}, nets.Refuse("resample_filter", "is %v; supported: [1, 1]", p.filter)
	case len(c.ChannelMult) > nets.MostLevels:
		return nets.Import{}, nets.Refuse("channel_mult", "has %d levels, want at most %d", len(c.ChannelMult), nets.MostLevels)
	}
	p.resolution = resolution
	c.SampleSize, c.InChannels, c.OutChannels, c.AttentionLevels = []int{resolution}, channels, channels, []int{}
	if p.labels > 0 {
		c.NumClassEmbeds = p.labels + 1
	}
	for level := range c.ChannelMult {
		if slices.Contains(attention, resolution>>level) {
			c.AttentionLevels = append(c.AttentionLevels, level)
		}
	}
	if err := c.Validate(); err != nil {
		return nets.Import{}, nets.Renamed(err, "attention_head_dim", "channels_per_head")
	}
	return nets.Import{Network: c.WithNotes(append(notes, more...)...), Source: p.source, Idle: idle}, nil
}

// published is what the names of EDM2's tensors depend on.
type published struct {
	resolution, labels int
	filter             []int
}

// idle says whether a tensor of EDM2's is of no use: the uncertainty that training learnt.
func idle(name string) bool { return strings.HasPrefix(name, "logvar_") }

// What maps where. R is the resolution of a level.
//
//	EDM2                              FluxionEDM2UNet
//	emb_fourier.freqs, phases         time_proj.frequencies, phases
//	emb_noise                         time_embedding
//	emb_label                         class_embedding, transposed, and a row more for none, of zeros
//	enc.RxR_conv                      conv_in
//	enc.RxR_down, enc.RxR_blockJ      enc.LEVEL.down, enc.LEVEL.blockJ; the same for dec, with in0, in1 and up
//	attn_qkv, whose outputs go q, k, v by channel
//	                                  attn_qkv, all of q first
//	out_conv, out_gain                conv_out, conv_out.gain
var (
	ofBlock = regexp.MustCompile(`^(enc|dec)\.(\d+)\.(\w+)\.(\S+)$`)
	others  = map[string]string{
		"time_proj.frequencies": "emb_fourier.freqs", "time_proj.phases": "emb_fourier.phases", "time_embedding.weight": "emb_noise.weight",
		"conv_out.weight": "out_conv.weight", "conv_out.gain": "out_gain",
	}
)

// source says where a parameter of ours lies.
func (p published) source(of nets.Param) nets.Source {
	if of.Name == nets.ClassTable {
		return nets.Source{Names: []string{"emb_label.weight"}, Sizes: []int{p.labels * of.Stored[1]}, Make: func(in [][]float32) []float32 {
			out := make([]float32, of.Size())
			for r := range p.labels {
				for c := range of.Stored[1] {
					out[r*of.Stored[1]+c] = in[0][c*p.labels+r]
				}
			}
			return out
		}}
	}
	if name, ok := others[of.Name]; ok {
		return nets.Source{Names: []string{name}}
	}
	if of.Name == "conv_in.weight" {
		return nets.Source{Names: []string{fmt.Sprintf("enc.%dx%d_conv.weight", p.resolution, p.resolution)}}
	}
	m := ofBlock.FindStringSubmatch(of.Name)
	if m == nil {
		return nets.Source{Names: []string{of.Name}} // which the file lacks
	}
	level, _ := strconv.Atoi(m[2])
	r := p.resolution >> level
	s := nets.Source{Names: []string{fmt.Sprintf("%s.%dx%d_%s.%s", m[1], r, r, m[3], m[4])}}
	if m[4] == "attn_qkv.weight" {
		s.Make = func(in [][]float32) []float32 { return unwoven(in[0], of.Stored[1]) }
	}
	return s
}

// unwoven takes every third row, and then those behind them, and those behind these.
func unwoven(in []float32, width int) (out []float32) {
	for first := range 3 {
		for at := first * width; at < len(in); at += 3 * width {
			out = append(out, in[at:at+width]...)
		}
	}
	return out
}

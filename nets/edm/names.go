package edm

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"fluxion/nets"
)

// What maps where. R is the resolution of a level.
//
//	EDM                               FluxionSongUNet              UNet2DModel
//	map_layer0, map_layer1            time_embedding.linear_1, 2   the same
//	map_noise.freqs                   time_proj.weight             –
//	map_label                         class_embedding, transposed, and a row more for none (SongUNet: times √classes, plus the bias)
//	enc.RxR_conv                      conv_in                      the same
//	enc.RxR_blockJ                    enc.LEVEL.blockJ             down_blocks.LEVEL.resnets.J and attentions.J
//	enc.RxR_down                      enc.LEVEL.down               down_blocks.LEVEL−1.downsamplers.0
//	enc.RxR_aux_residual              enc.LEVEL.aux_residual       –
//	dec.RxR_in0, in1                  dec.LEVEL.in0, in1           mid_block.resnets.0 and attentions.0, resnets.1
//	dec.RxR_blockJ                    dec.LEVEL.blockJ             up_blocks.LAST−LEVEL.resnets.J and attentions.J
//	dec.RxR_up                        dec.LEVEL.up                 up_blocks.LAST−LEVEL−1.upsamplers.0
//	dec.RxR_aux_norm, aux_conv        norm_out, conv_out           –
//	out_norm, out_conv                –                            conv_norm_out, conv_out
//	of a block: norm0, conv0, affine, norm1, conv1, skip, norm2, proj
//	                                  the same                     norm1, conv1, time_emb_proj, norm2, conv2, conv_shortcut, group_norm, to_out.0
//	qkv, whose outputs go q, k, v by channel
//	                                  qkv, all of q first          to_q, to_k, to_v
var (
	ofSong = regexp.MustCompile(`^(enc|dec)\.(\d+)\.(\w+)(\.\w+\.\w+|\.weight|\.bias)$`)
	ofUNet = regexp.MustCompile(`^(down_blocks|up_blocks|mid_block)\.(?:(\d+)\.)?(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(\S+)\.(weight|bias)$`)
	ends   = map[string]string{
		"conv_out": "out_conv", "conv_norm_out": "out_norm", "time_embedding.linear_1": "map_layer0", "time_embedding.linear_2": "map_layer1",
	}
	ofBlock = map[string]string{
		"norm1": "norm0", "conv1": "conv0", "time_emb_proj": "affine", "norm2": "norm1", "conv2": "conv1", "conv_shortcut": "skip",
		"group_norm": "norm2", "to_out.0": "proj", "to_q": "qkv", "to_k": "qkv", "to_v": "qkv",
	}
)

// idle says whether a tensor of EDM's is of no use: filters are in the configuration, and the
// augmentation that a network was told of is none in sampling.
func idle(name string) bool {
	return strings.HasSuffix(name, "resample_filter") || strings.HasPrefix(name, "map_augment.")
}

// at is what EDM calls a level's part.
func (a arguments) at(side string, level int, part string) string {
	r := a.resolution >> level
	return fmt.Sprintf("%s.%dx%d_%s", side, r, r, part)
}

// source says where a parameter of ours lies.
func (a arguments) source(p nets.Param) nets.Source {
	if p.Name == nets.ClassTable {
		return a.table(p)
	}
	if p.Name == "time_proj.weight" {
		return nets.Source{Names: []string{"map_noise.freqs"}}
	}
	name, kind := p.Name, ""
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		name, kind = name[:dot], name[dot+1:]
	}
	if end, ok := ends[name]; ok && (a.kind == dhariwalUNet || !strings.HasPrefix(name, "conv_")) {
		return nets.Source{Names: []string{end + "." + kind}}
	}
	switch name {
	case "conv_in":
		return nets.Source{Names: []string{a.at("enc", 0, "conv."+kind)}}
	case "norm_out":
		return nets.Source{Names: []string{a.at("dec", 0, "aux_norm."+kind)}}
	case "conv_out":
		return nets.Source{Names: []string{a.at("dec", 0, "aux_conv."+kind)}}
	}
	if m := ofSong.FindStringSubmatch(p.Name); m != nil {
		level, _ := strconv.Atoi(m[2])
		s := nets.Source{Names: []string{a.at(m[1], level, m[3]+m[4])}}
		if strings.HasPrefix(m[4], ".qkv.") {
			rows := p.Stored[0] / 3
			s.Make = func(in [][]float32) []float32 {
				return slices.Concat(third(in[0], rows, 0), third(in[0], rows, 1), third(in[0], rows, 2))
			}
		}
		return s
	}
	return a.inUNet(p)
}

// inUNet is source of what blocks of UNet2DModel hold.
func (a arguments) inUNet(p nets.Param) nets.Source {
	m := ofUNet.FindStringSubmatch(p.Name)
	if m == nil {
		return nets.Source{Names: []string{p.Name}} // which the file lacks
	}
	last := len(a.channelMult) - 1
	block, _ := strconv.Atoi(m[2])
	side, level, part := "enc", block, "block"+m[4]
	switch {
	case m[3] == "downsamplers":
		level, part = block+1, "down"
	case m[1] == "mid_block":
		side, level, part = "dec", last, "in"+m[4]
	case m[3] == "upsamplers":
		side, level, part = "dec", last-block-1, "up"
	case m[1] == "up_blocks":
		side, level = "dec", last-block
	}
	s := nets.Source{Names: []string{a.at(side, level, part+"."+ofBlock[m[5]]+"."+m[6])}}
	if at := slices.Index([]string{"to_q", "to_k", "to_v"}, m[5]); at >= 0 {
		s.Sizes = []int{3 * p.Size()}
		s.Make = func(in [][]float32) []float32 { return third(in[0], p.Stored[0], at) }
	}
	return s
}

// third takes every third row, from one on, of three times so many.
func third(in []float32, rows, from int) (out []float32) {
	width := len(in) / (3 * rows)
	for r := range rows {
		out = append(out, in[(3*r+from)*width:][:width]...)
	}
	return out
}

// table makes rows of a linear map of classes that are told as 1 among zeros; that for none is
// all zeros.
func (a arguments) table(p nets.Param) nets.Source {
	rows, width := p.Stored[0], p.Stored[1]
	names, sizes, factor := []string{"map_label.weight"}, []int{a.labels * width}, float32(1)
	if a.kind == songUNet {
		names, sizes, factor = append(names, "map_label.bias"), append(sizes, width), float32(math.Sqrt(float64(a.labels)))
	}
	return nets.Source{Names: names, Sizes: sizes, Make: func(in [][]float32) []float32 {
		out := make([]float32, rows*width)
		for r := range rows {
			for c := range width {
				if r < a.labels {
					out[r*width+c] = factor * in[0][c*a.labels+r]
				}
				if len(in) > 1 {
					out[r*width+c] += in[1][c]
				}
			}
		}
		return out
	}}
}

package nets

import (
	"maps"

	"fluxion/kernels/embed"

	"gorgonia.org/gorgonia"
)

// GuidanceInput is the key of a network that is told the scale of its guidance, and so
// needs one pass for what guidance takes two for: from where to where it may be, as in
// [1.0, 4.0]. C. Meng et al., "On Distillation of Guided Diffusion Models" (2023).
const GuidanceInput = "_guidance_input"

// WithGuidance returns the keys that begin with an underscore, with the range of scales
// of guidance that a network is told, or without it.
func WithGuidance(meta map[string]any, scales [2]float64) map[string]any {
	meta = maps.Clone(meta)
	delete(meta, GuidanceInput)
	if scales == [2]float64{} {
		return meta
	}
	if meta == nil {
		meta = map[string]any{}
	}
	meta[GuidanceInput] = []any{scales[0], scales[1]}
	return meta
}

// GuidanceOf is that range; none, and 0 for both, where the key is not there.
func GuidanceOf(meta map[string]any) (scales [2]float64) {
	list, _ := meta[GuidanceInput].([]any)
	for i, v := range list[:min(len(list), len(scales))] {
		switch x := v.(type) {
		case float64:
			scales[i] = x
		case int64:
			scales[i] = float64(x)
		}
	}
	return scales
}

// checkGuidance refuses what is no range.
func checkGuidance(meta map[string]any) error {
	v, ok := meta[GuidanceInput]
	if !ok {
		return nil
	}
	list, _ := v.([]any)
	if s := GuidanceOf(meta); len(list) != 2 || !(s[0] >= 0 && s[0] < s[1] && s[1] <= MostGuidance) {
		return Refuse(GuidanceInput, "is %s, want from where to where the scale may be, as in [1.0, 4.0]", show(v))
	}
	return nil
}

// MostGuidance is the largest scale that a network may be told.
const MostGuidance = 100

// guidanceFactor is what scales are multiplied by before their sines and cosines are
// taken: the fastest has a period of 0.4.
const guidanceFactor = 16

// GuidanceFeatures are sines and cosines of scales of guidance, (N,width): an embedding
// begins with them.
func GuidanceFeatures(guidance *gorgonia.Node, width int) *gorgonia.Node {
	return embed.Timestep(guidance, embed.TimestepOptions{Dim: width, FlipSinToCos: true, Scale: guidanceFactor})
}

package autoencoder

import (
	"fmt"
	"strconv"
	"strings"

	"fluxion/nets"
	"fluxion/nets/pyjson"
)

// Scaling is how latents become those of a denoiser, (x − Mean)/Std·Factor of each channel: see
// Config.Scaling.
type Scaling struct {
	Mean, Std []float64
	Factor    float64
}

// edm2Scaling is that of Karras et al. (2024) for Stable Diffusion's autoencoder of four channels
// on ImageNet: latents have half the deviation of data.
const edm2Scaling = "5.81,3.25,0.12,-2.15/4.17,4.62,3.71,3.28*0.5"

// ScalingText says what ParseScaling reads.
const ScalingText = "edm2, or means/deviations of the channels and perhaps *factor, as " + edm2Scaling + ", which is edm2's"

// ParseScaling reads means/deviations*factor, or the name of such.
func ParseScaling(text string) (s Scaling, err error) {
	fault := func(why string) (Scaling, error) { return s, fmt.Errorf("%q %s; want %s", text, why, ScalingText) }
	said := text
	if said == "edm2" {
		said = edm2Scaling
	}
	s.Factor = 1
	said, factor, there := strings.Cut(said, "*")
	if there {
		if s.Factor, err = strconv.ParseFloat(factor, 64); err != nil {
			return fault("ends with no number")
		}
	}
	means, deviations, both := strings.Cut(said, "/")
	if !both {
		return fault("has no deviations")
	}
	for _, list := range []struct {
		text string
		to   *[]float64
	}{{means, &s.Mean}, {deviations, &s.Std}} {
		for part := range strings.SplitSeq(list.text, ",") {
			x, err := strconv.ParseFloat(part, 64)
			if err != nil {
				return fault(fmt.Sprintf("has %q among its numbers", part))
			}
			*list.to = append(*list.to, x)
		}
	}
	return s, nil
}

// Scaled is the model with another scaling of latents, in its config.json, too.
func (m *Model) Scaled(s Scaling) (*Model, error) {
	values, err := pyjson.Unmarshal(m.text)
	if err != nil {
		return nil, err
	}
	c := m.Config
	list := func(key string, numbers []float64) (made []nets.Number) {
		var all []any
		for _, x := range numbers {
			made, all = append(made, nets.Number{Value: x}), append(all, x)
		}
		values[key] = all
		return made
	}
	c.LatentsMean, c.LatentsStd = list("latents_mean", s.Mean), list("latents_std", s.Std)
	c.ScalingFactor = nets.Number{Value: s.Factor}
	values["scaling_factor"] = s.Factor
	c.text = pyjson.Marshal(values)
	scaled := *m
	scaled.Config = c
	return &scaled, c.Validate()
}

package train

import (
	"fmt"
	"slices"
	"strings"

	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/couple"
	"fluxion/engine/generate"
	"fluxion/engine/process"
	"fluxion/nets"
)

// Conditions: what a network is given of the images that those of the data are to be made of.
const (
	Concat      = "concat" // behind the channels of the noisy image: Saharia et al., "Image Super-Resolution via Iterative Refinement" (2021), "Palette" (2022)
	noCondition = "none"
)

func conditionSetting(p *string) setting.Setting {
	conditions := []string{Concat, noCondition}
	return setting.Setting{
		Key: "condition", Value: setting.Of(p), Range: setting.OneOf("condition", conditions), Breaks: setting.Always, Since: "2026-11-30", Before: Concat,
		Help: "how the network is given the inputs of data paired:A,B: concat, behind the channels of the noisy image (SR3, Palette), or none",
	}
}

// GivenChannels are those of the inputs that the network of a run on data is given; 0: none.
func (s Settings) GivenChannels(d data.Dataset) int {
	if s.Condition != Concat || data.Unpaired(d) {
		return 0
	}
	channels, _ := data.InputOf(d)
	return channels
}

// checkInputs says why the inputs of data do not go with the settings. Data may be nil.
func (s Settings) checkInputs(d data.Dataset) error {
	if d == nil {
		return nil
	}
	begins := s.beginsWithInputs()
	if data.Inputs(d) == nil {
		if begins {
			return &SettingError{"source", fmt.Sprintf("data, and %s has no inputs to begin with; want --data paired:A,B, or unpaired:A,B", d.Name())}
		}
		return nil
	}
	channels, _ := data.InputOf(d)
	_, _, own := d.Shape()
	switch {
	case begins && channels != own:
		return &SettingError{"source", fmt.Sprintf("data: inputs of %s cannot become images of %s; want --channels, which brings both to one", channelsText(channels), channelsText(own))}
	case begins && data.Unpaired(d) && strings.HasPrefix(s.Coupling, "nearest"):
		return &SettingError{"coupling", fmt.Sprintf("%s would begin with some inputs more than with others; want %s, or ot", s.Coupling, couple.Independent)}
	case begins && data.Unpaired(d):
		return nil
	case begins && s.Coupling != couple.Independent:
		return &SettingError{"coupling", fmt.Sprintf("%s would part the pairs of %s; want %s, or data unpaired:A,B", s.Coupling, d.Name(), couple.Independent)}
	case begins:
		return nil
	case data.Unpaired(d):
		return &SettingError{"data", fmt.Sprintf("%s: nothing sees the inputs, of which none belongs to an image; want --source data, which begins with them, or paired:A,B", d.Name())}
	case s.Condition != Concat:
		return &SettingError{"condition", fmt.Sprintf("%s, and nothing else sees the inputs of %s; want %s", s.Condition, d.Name(), Concat)}
	case s.Coupling != couple.Independent:
		return &SettingError{"coupling", fmt.Sprintf("%s would let the network tell the noise by the input, which in sampling are independent; want %s", s.Coupling, couple.Independent)}
	}
	return nil
}

func channelsText(n int) string {
	if n == 1 {
		return "1 channel"
	}
	return fmt.Sprintf("%d channels", n)
}

// Given are images of data, evenly spread, and the inputs that they are to be made of: for
// samples of a network that is given them.
type Given struct {
	Inputs, Images data.Pixels
	Classes        []int // −1: none
	Sizes          []generate.Size
	from           []int // pixels of the images before each, and of all
	channels       int   // of an input
	own            int   // of an image
}

// ReadGiven reads n of data. Where skip is set, those that cannot be read are blank.
func ReadGiven(d data.Dataset, n int, skip bool) (Given, error) {
	channels, kind := data.InputOf(d)
	_, _, own := d.Shape()
	g := Given{Sizes: SpreadSizes(d, n), channels: channels, own: own, from: []int{0}}
	for i, s := range g.Sizes {
		g.from = append(g.from, g.from[i]+s.Height*s.Width)
	}
	g.Inputs, g.Images = data.NewPixels(kind, g.from[n]*channels), data.NewPixels(d.Kind(), g.from[n]*own)
	for i, s := range g.Sizes {
		e := data.Example{Pixels: g.image(i), Input: g.input(i), Class: -1, Noise: data.Own, At: int64(i), Size: s}
		if err := d.Read(data.Spread(d.Len(), n, i), &e); err != nil {
			if !skip {
				return g, err
			}
			e.Clear()
			e.Input.Clear()
		}
		g.Classes = append(g.Classes, e.Class)
	}
	return g, nil
}

// beginsWithInputs says whether inputs of the data are the source.
func (s Settings) beginsWithInputs() bool {
	source, err := process.GetSource(s.Source)
	return err == nil && source.Kind() == process.Images
}

// TakesInputs says whether a run on data is given their inputs, or begins with them.
func (s Settings) TakesInputs(d data.Dataset) bool {
	return s.GivenChannels(d) > 0 || s.beginsWithInputs()
}

// inputs are the data that samples are made of; "": none.
func (s Settings) inputs(d data.Dataset) string {
	if !s.TakesInputs(d) {
		return ""
	}
	_, sets, _ := strings.Cut(s.Data, ":")
	of, _, _ := strings.Cut(sets, ",")
	return of
}

// Begin is a state of image i, as generate.Request wants it: its input, without noise.
func (g Given) Begin(i int, _, sigma float64, z []float32) error {
	err := g.Input(i, z)
	for k := range z {
		z[k] *= float32(sigma)
	}
	return err
}

// Of makes a request for samples of the images.
func (g Given) Of(r *generate.Request, network nets.Network, source process.Source, none int) {
	r.Classes = g.ClassesOf(none)
	if network.Spec().Concat > 0 {
		r.Input = g.Input
	}
	if source.Kind() == process.Images {
		r.Begin = g.Begin
	}
}

// Input is that of image i, as generate.Request wants it.
func (g Given) Input(i int, to []float32) error {
	g.input(i).Values(to)
	return nil
}

// image and input are those of place i.
func (g Given) image(i int) data.Pixels { return g.Images.Slice(g.from[i]*g.own, g.from[i+1]*g.own) }
func (g Given) input(i int) data.Pixels {
	return g.Inputs.Slice(g.from[i]*g.channels, g.from[i+1]*g.channels)
}

// SpreadSizes are those of n images of data, evenly spread, as they are trained on.
func SpreadSizes(d data.Dataset, n int) []generate.Size {
	all := make([]generate.Size, n)
	for i := range all {
		all[i] = data.SizeOf(d, data.Spread(d.Len(), n, i))
	}
	return all
}

// ClassesOf are what a network is told of the images, of which none has the class that
// stands for none.
func (g Given) ClassesOf(none int) []int {
	if none == 0 {
		return nil
	}
	told := slices.Clone(g.Classes)
	for i, c := range told {
		if c < 0 {
			told[i] = none
		}
	}
	return told
}

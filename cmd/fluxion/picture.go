package main

import (
	"fmt"
	"math"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data"
	"fluxion/data/setting"
	"fluxion/engine/generate"
	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// pictureFlags give sampling pictures: image to image, inpainting.
type pictureFlags struct {
	init, mask, input, from string
	strength                float64
	implied                 bool      // input is what samples are judged against, for models that take one
	without                 string    // why a model that takes images cannot be sampled; empty: it can
	fit                     string    // how their images are brought to a size; "": cropped, and sets that keep several shapes stay in them
	sized                   data.Size // that is asked for; zero: the model's own
	opened                  map[string]*imageSet
}

func (o *pictureFlags) list() setting.List {
	o.strength, o.opened = 1, map[string]*imageSet{}
	return setting.List{
		{Key: "init", Value: setting.Of(&o.init), Own: true, Help: "image to image: a picture to begin with, brought to the model's size; or a set of images, one for each sample"},
		{
			Key: "strength", Value: setting.Of(&o.strength), Help: "share of the steps that are taken from --init on; 1 begins with noise alone",
			Range: setting.Numbers("a share above 0 and up to 1", func(x float64) bool { return x > 0 && x <= 1 }),
		},
		{Key: "input", Value: setting.Of(&o.input), Own: true, Help: "a set of images that the samples of a model of paired:A,B are to be made of, one for each"},
		o.fitSetting("how images of --input and --init are brought to the size, as train does it: "),
		{Key: "from", Value: setting.Of(&o.from), Own: true, Help: "a model by which the images of --init are taken to noise, of which --model then makes others (DDIB)"},
		{Key: "mask", Value: setting.Of(&o.mask), Own: true, Help: "inpainting: a picture that is white where --init is made anew and black where it is kept"},
	}
}

// fitSetting declares how images are brought to a size; help is what begins its help.
func (o *pictureFlags) fitSetting(help string) setting.Setting {
	s := data.FitSetting(&o.fit).Helps(help + "crop, pad, stretch, or buckets, each to the nearest of shapes of about its area; if not given crop, and what keeps several shapes stays in them")
	s.Own, s.Since, s.Before, s.Breaks = true, "", "", setting.Breaks{}
	known := s.Range.Holds
	s.Range = setting.Range{Text: "crop, pad, stretch, buckets or buckets:STEP", Holds: func(f any) bool {
		return known(f) && !data.Fit(fmt.Sprint(f)).Varies() // images are one for all time here
	}}
	return s
}

// check refuses flags that say nothing together.
func (o *pictureFlags) check() error {
	switch {
	case o.fit != "" && o.input == "" && !o.initSet():
		return fault.Usagef("--fit %s is of images of a set, --input or --init; a picture alone has its middle cut out", o.fit)
	case o.init == "" && (o.mask != "" || o.strength != 1 || o.from != ""):
		return fault.Usagef("--mask, --strength and --from need a picture or a set of them, --init IMAGE")
	case o.initSet() && o.mask != "":
		return fault.Usagef("--mask is of one picture, and --init %s is a set; want --init IMAGE", o.init)
	case o.initSet() && o.input != "" && !o.implied:
		return fault.Usagef("--input and --init are two sets, and samples are of one; want one of them to be a picture, or left out")
	case o.from != "" && (o.strength != 1 || o.mask != ""):
		return fault.Usagef("--from begins with the noise of the whole way; leave out --strength and --mask")
	case o.from != "" && !o.initSet():
		return fault.Usagef("--from: --init %s is one picture; want a set of images, such as the folder it is in", o.init)
	case o.from != "":
	case o.init != "" && o.mask == "" && o.strength == 1:
		return fault.Usagef("--init is not seen at --strength 1; want less, such as 0.6, or a --mask")
	}
	return nil
}

// imply takes the inputs of two sets that samples are judged against for those that they are
// made of, where nothing else is said: of pairs, each its own; else any, in their order.
func (o *pictureFlags) imply(sets []string) {
	for _, s := range sets {
		parts := data.Parts(s)
		if o.input != "" || len(parts) != 2 {
			continue
		}
		if o.input, o.implied = s, true; strings.HasPrefix(s, "unpaired:") {
			o.input = parts[0]
		}
	}
}

// initSet says whether --init names a set of images.
func (o *pictureFlags) initSet() bool { return o.init != "" && !isPicture(o.init) }

// begin returns the entry of the grid at which a run of this strength begins.
func (o *pictureFlags) begin(p process.Process, options sampler.Options) (int, error) {
	if o.init == "" {
		return 0, nil
	}
	g, err := sampler.NewGrid(p, options)
	if err != nil {
		return 0, err
	}
	return o.entry(len(g.Points) - 1)
}

// entry is begin on a grid of some steps.
func (o *pictureFlags) entry(steps int) (int, error) {
	if o.init == "" {
		return 0, nil
	}
	taken := int(math.Round(o.strength * float64(steps)))
	if taken < 1 {
		return 0, fmt.Errorf("--strength %g leaves none of %d steps; want %g or more, or more steps", o.strength, steps, math.Ceil(500/float64(steps))/1000)
	}
	return steps - taken, nil
}

// read returns the picture and its mask as a model of this size sees them; nil
// if none is given.
func (o *pictureFlags) read(height, width, channels int) (*generate.Picture, error) {
	if o.init == "" || o.initSet() {
		return nil, nil
	}
	pixels, err := data.ReadPicture(o.init, height, width, channels)
	if err != nil {
		return nil, err
	}
	p := &generate.Picture{Values: make([]float32, len(pixels)), Unseen: o.strength == 1}
	for i, b := range pixels {
		p.Values[i] = float32(2*int(b)-255) / 255
	}
	if o.mask == "" {
		return p, nil
	}
	mask, err := data.ReadPicture(o.mask, height, width, 1)
	if err != nil {
		return nil, err
	}
	p.Mask = make([]float32, len(pixels))
	for i := range p.Mask {
		p.Mask[i] = float32(mask[i/channels]) / 255
	}
	return p, nil
}

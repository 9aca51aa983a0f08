package main

import (
	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/setting"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/process"
)

// guidanceFlags say how a network's outputs become one.
type guidanceFlags struct {
	guidance, rescale, threshold float64
	interval, guide, clip        string
	told                         bool // the model is told its guidance
}

func (o *guidanceFlags) list() setting.List {
	o.guidance, o.clip = 1, "auto"
	return append(generate.GuidanceSettings(&o.guidance, &o.interval, &o.rescale, &o.guide), generate.LimitSettings(&o.threshold, &o.clip)...)
}

// clips says whether predicted images are clipped in a run that begins at a point. Who says
// where a bridge's flow goes predicts none.
func (o *guidanceFlags) clips(begin process.Point) bool {
	return o.clip == "true" || o.clip == "auto" && o.threshold == 0 && begin.Limits() && !begin.Flows
}

// classFree says that images are evaluated without their class, too.
func (o *guidanceFlags) classFree() bool { return o.guidance != 1 && o.guide == "" && !o.told }

// settle brings guidance together with what a model knows of it. One that is told its
// guidance has one pass for it, and its own range; said says whether the user gave a scale.
func (o *guidanceFlags) settle(m *model.Model, g *generate.Guidance, said bool) error {
	spec := m.Network.Spec()
	if o.told = spec.Told(); !o.told {
		return nil
	}
	if o.guide != "" || o.rescale != 0 {
		return fault.Usagef("--guide and --guidance-rescale: the model is told its guidance, in one pass, and has no second to set it apart from; want --guidance alone")
	}
	if !said {
		o.guidance = spec.Unguided()
		g.Scale = o.guidance
	}
	if err := g.Check(m.Network); err != nil {
		return fault.Usagef("--guidance: %w", err)
	}
	return nil
}

// parse checks the flags against each other.
func (o *guidanceFlags) parse() (generate.Guidance, error) {
	g := generate.Guidance{Scale: o.guidance, Rescale: o.rescale, Percentile: o.threshold}
	switch {
	case o.threshold > 0 && o.clip == "true":
		return g, fault.Usagef("--dynamic-threshold keeps images in the range of pixels itself; leave out --clip")
	case o.guidance == 1 && (o.interval != "" || o.rescale != 0 || o.guide != ""):
		return g, fault.Usagef("--guidance-interval, --guidance-rescale and --guide need --guidance other than 1, such as 2")
	}
	var err error
	if g.Interval, err = process.ParseInterval(o.interval); err != nil {
		return g, fault.Usagef("--guidance-interval %s: %w", o.interval, err)
	}
	return g, nil
}

// readGuide reads the second model; nil without one.
func (o *guidanceFlags) readGuide(m *model.Model, weights string, ignore []string) (*model.Model, error) {
	if o.guide == "" {
		return nil, nil
	}
	second, err := m.Guide(o.guide, weights, ignore...)
	if err != nil {
		return nil, modelError{o.guide, err}
	}
	return second, nil
}

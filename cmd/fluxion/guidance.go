package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"fluxion/cmd/fluxion/internal/fault"
	"fluxion/data/setting"
	"fluxion/engine/generate"
	"fluxion/engine/model"
	"fluxion/engine/process"
	"fluxion/engine/scheduler"
)

// guidanceFlags say how a network's outputs become one.
type guidanceFlags struct {
	guidance, rescale, threshold float64
	interval, guide, clip        string
}

func (o *guidanceFlags) list() setting.List {
	o.guidance, o.clip = 1, "auto"
	return append(generate.GuidanceSettings(&o.guidance, &o.interval, &o.rescale, &o.guide), generate.LimitSettings(&o.threshold, &o.clip)...)
}

// clips says whether predicted images are clipped in a run that begins at a point.
func (o *guidanceFlags) clips(begin process.Point) bool {
	return o.clip == "true" || o.clip == "auto" && o.threshold == 0 && begin.Limits()
}

// classFree says that images are evaluated without their class, too.
func (o *guidanceFlags) classFree() bool { return o.guidance != 1 && o.guide == "" }

// parse checks the flags against each other.
func (o *guidanceFlags) parse() (generate.Guidance, error) {
	g := generate.Guidance{Scale: o.guidance, Rescale: o.rescale, Percentile: o.threshold}
	switch {
	case o.threshold > 0 && o.clip == "true":
		return g, fault.Usagef("--dynamic-threshold keeps images in the range of pixels itself; leave out --clip")
	case o.guidance == 1 && (o.interval != "" || o.rescale != 0 || o.guide != ""):
		return g, fault.Usagef("--guidance-interval, --guidance-rescale and --guide need --guidance other than 1, such as 2")
	}
	if o.interval == "" {
		return g, nil
	}
	low, high, _ := strings.Cut(o.interval, ",")
	for i, text := range []string{low, high} {
		x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || !(x >= 0) {
			return g, fault.Usagef("--guidance-interval %s: want LO,HI in σ/α, as in 0.3,5", o.interval)
		}
		g.Interval[i] = x
	}
	if g.Interval[0] >= g.Interval[1] {
		return g, fault.Usagef("--guidance-interval %s: want LO below HI, as in 0.3,5", o.interval)
	}
	return g, nil
}

// readGuide reads the second model, which must speak of the same images in the
// same terms as the first. Either may condition on the last estimate, or not.
func (o *guidanceFlags) readGuide(m *model.Model, weights string, ignore []string) (*model.Model, error) {
	if o.guide == "" {
		return nil, nil
	}
	second, err := model.Read(o.guide, weights, ignore...)
	if err != nil {
		return nil, modelError{o.guide, err}
	}
	a, b := m.Network.Spec(), second.Network.Spec()
	if a.Height != b.Height || a.Width != b.Width || a.Channels != b.Channels || a.Classes != b.Classes || a.Condition != b.Condition {
		return nil, modelError{o.guide, fmt.Errorf("its images of %d×%d pixels, %d channels and %d classes are not the model's, of %d×%d, %d and %d; want a weaker model of the same data",
			b.Width, b.Height, b.Channels, b.Classes, a.Width, a.Height, a.Channels, a.Classes)}
	}
	if b.Concat != 0 && a.Concat != b.Concat {
		return nil, modelError{o.guide, fmt.Errorf("its network is given a second image of %d channels, and the model's of %d; want a weaker model of the same data, or one of the images alone", b.Concat, a.Concat)}
	}
	own, err := scheduler.Of(m.Process)
	if err != nil {
		return nil, modelError{m.Path, err}
	}
	other, err := scheduler.Of(second.Process)
	if err != nil {
		return nil, modelError{o.guide, err}
	}
	if !bytes.Equal(own.Bytes(), other.Bytes()) {
		return nil, modelError{o.guide, fmt.Errorf("it was trained on %v, the model on %v; want a model trained on the same schedule, its modifiers included, and output", second.Process, m.Process)}
	}
	return second, nil
}

package train

import (
	"fmt"
	"slices"

	"fluxion/data"
	"fluxion/engine/couple"
	"fluxion/nets"
)

// WithBuckets says of which step the sides of aspect buckets are, where that is left open: about
// an eighth of the side, that divides it and is a multiple of what the network of the preset takes.
func (s Settings) WithBuckets(ignore ...string) Settings {
	step, yes := data.Fit(s.Fit).Buckets()
	if !yes || step != 0 || s.Size.Height < 1 {
		return s
	}
	n, err := presetNetwork(s.Preset, ignore)
	if err != nil { // told later
		return s
	}
	s.Fit = fmt.Sprintf("%s:%d", data.AspectBuckets, data.BucketStep(s.Size.Height, max(1, n.Spec().Multiple)))
	return s
}

// shapes are those of buckets besides that of the set, each of which takes a step of its own.
func shapes(d data.Dataset) []data.Size {
	b := data.BucketsOf(d)
	if b == nil {
		return nil
	}
	h, w, _ := d.Shape()
	return slices.DeleteFunc(slices.Clone(b.Sizes), func(s data.Size) bool { return s == data.Size{Height: h, Width: w} })
}

// checkBuckets says what does not go with aspect buckets.
func (s Settings) checkBuckets(d data.Dataset, n nets.Spec) error {
	if data.BucketsOf(d) == nil {
		return nil
	}
	if s.Coupling != couple.Independent {
		return &SettingError{"coupling", fmt.Sprintf("%s pairs images of one shape with noise, and those of the data are of several; want %s, or fit %s", s.Coupling, couple.Independent, data.Crop)}
	}
	for _, size := range shapes(d) {
		if err := n.CheckSize("preset "+s.Preset, size.Height, size.Width); err != nil {
			hint, step := "", n.Multiple
			if l, _ := data.LatentsOf(d); l != nil {
				step *= l.Image[0] / l.Height
			}
			if _, asked := data.Fit(s.Fit).Buckets(); !asked { // the data have been brought to them before
				return &SettingError{"data", fmt.Sprintf("%s has images of %v: %v; want it made anew with --fit %s:%d, or a preset for any size", d.Name(), size, err, data.AspectBuckets, max(step, 1))}
			}
			if n.Multiple > 0 {
				hint = fmt.Sprintf(", as in %s:%d", data.AspectBuckets, step)
			}
			return &SettingError{"fit", fmt.Sprintf("%s has images of %v: %v%s", s.Fit, size, err, hint)}
		}
	}
	return nil
}

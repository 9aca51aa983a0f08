package scheduler

import (
	"fmt"
	"math"
	"slices"
)

type clipping struct {
	ClipSample      bool    `json:"clip_sample"`
	ClipSampleRange float64 `json:"clip_sample_range"`
}

type thresholding struct {
	Thresholding          bool    `json:"thresholding"`
	DynamicThresholdRatio float64 `json:"dynamic_thresholding_ratio"`
	SampleMaxValue        float64 `json:"sample_max_value"`
}

var noThreshold = thresholding{false, 0.995, 1}

// Limit is what happens to x̂ of every call before it is used; the zero value
// is nothing.
type Limit struct {
	// Clip is the largest |x̂|, 0 for none.
	Clip float64
	// Ratio, where it is not 0, is dynamic thresholding's (Saharia et al.,
	// "Imagen", 2022, section 2.3): x̂ is clipped at the Ratio-quantile s of its
	// own |x̂|, s no less than 1 and no more than Most, and divided by s.
	Ratio, Most float64
}

// Apply limits the x̂ of one image.
func (l Limit) Apply(x []float64) {
	clip, scale := l.Clip, 1.0
	if l.Ratio != 0 {
		s := quantile(x, l.Ratio)
		clip = math.Min(math.Max(s, 1), l.Most) // Most below 1 wins, as in diffusers
		scale = clip
	}
	if clip == 0 {
		return
	}
	for i, v := range x {
		x[i] = math.Min(math.Max(v, -clip), clip) / scale
	}
}

// quantile of |x|, linear between order statistics.
func quantile(x []float64, ratio float64) float64 {
	sorted := make([]float64, len(x))
	for i, v := range x {
		sorted[i] = math.Abs(v)
	}
	slices.Sort(sorted)
	return interpolate(sorted, ratio*float64(len(sorted)-1))
}

// limit reads the keys; thresholding goes before clipping, as in diffusers.
func (p *planner) limit(c clipping, t thresholding) error {
	switch {
	case t.Thresholding:
		if !(t.DynamicThresholdRatio > 0 && t.DynamicThresholdRatio <= 1) || !(t.SampleMaxValue > 0) {
			return fmt.Errorf("dynamic_thresholding_ratio = %g and sample_max_value = %g, want a ratio between 0 and 1 and a positive number",
				t.DynamicThresholdRatio, t.SampleMaxValue)
		}
		p.Limit = Limit{Ratio: t.DynamicThresholdRatio, Most: t.SampleMaxValue}
	case c.ClipSample:
		if !(c.ClipSampleRange > 0) {
			return refuse("clip_sample_range", c.ClipSampleRange, "a positive number")
		}
		p.Limit = Limit{Clip: c.ClipSampleRange}
	}
	return nil
}

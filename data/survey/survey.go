// Package survey measures sets of images: what their values are, and which images are
// unlike the others.
package survey

import (
	"math"
	"slices"

	"fluxion/data/stable"
)

// Moments are sums over values of a channel each; they may be added in any order.
type Moments struct {
	Count    float64
	Sum, Sq  []float64
	Min, Max float64
}

// NewMoments of so many channels.
func NewMoments(channels int) *Moments {
	return &Moments{Sum: make([]float64, channels), Sq: make([]float64, channels), Min: math.Inf(1), Max: math.Inf(-1)}
}

// Add takes an image, HWC.
func (m *Moments) Add(values []float32) {
	c := len(m.Sum)
	for i, v := range values {
		x := float64(v)
		m.Sum[i%c] += x
		m.Sq[i%c] += x * x
		m.Min, m.Max = min(m.Min, x), max(m.Max, x)
	}
	m.Count += float64(len(values) / c)
}

// Mean and Deviation of each channel.
func (m *Moments) Mean() []float64 {
	all := make([]float64, len(m.Sum))
	for c, s := range m.Sum {
		all[c] = s / m.Count
	}
	return all
}

// Deviation of each channel.
func (m *Moments) Deviation() []float64 {
	all := m.Mean()
	for c, mean := range all {
		all[c] = math.Sqrt(max(0, m.Sq[c]/m.Count-mean*mean))
	}
	return all
}

// Traits of an image: by these it is compared with the others.
type Traits struct {
	Brightness float64 // mean of its grey values
	Contrast   float64 // their deviation
	Detail     float64 // mean difference of neighbours
}

// TraitsOf an image, HWC.
func TraitsOf(values []float32, height, width, channels int) Traits {
	grey := make([]float64, height*width)
	for i, v := range values {
		grey[i/channels] += float64(v) / float64(channels)
	}
	var t Traits
	for _, g := range grey {
		t.Brightness += g / float64(len(grey))
	}
	var differences float64
	for i, g := range grey {
		t.Contrast += (g - t.Brightness) * (g - t.Brightness) / float64(len(grey))
		if i%width > 0 {
			t.Detail += math.Abs(g - grey[i-1])
			differences++
		}
		if i >= width {
			t.Detail += math.Abs(g - grey[i-width])
			differences++
		}
	}
	t.Contrast = math.Sqrt(t.Contrast)
	t.Detail /= max(differences, 1)
	return t
}

// Outlier is an image that is unlike the others in a trait.
type Outlier struct {
	Index int
	Trait string
	Value float64
	Score float64 // deviations from the median, as its sign says
}

// flat is the contrast below which an image shows nothing: half a step of 8 bits.
const flat = 1.0 / 255

// Outliers are the images at least so many deviations from the median in a trait, by the
// median of absolute deviations (Iglewicz and Hoaglin); contrast and detail by their
// logarithms. An image without contrast is one whatever the others are. The most unlike come first.
func Outliers(all []Traits, least float64) []Outlier {
	var list []Outlier
	for _, trait := range []struct {
		name  string
		of    func(Traits) float64
		scale func(float64) float64
	}{
		{"brightness", func(t Traits) float64 { return t.Brightness }, func(x float64) float64 { return x }},
		{"contrast", func(t Traits) float64 { return t.Contrast }, math.Log},
		{"detail", func(t Traits) float64 { return t.Detail }, math.Log},
	} {
		var values []float64
		for _, t := range all {
			if x := trait.scale(trait.of(t)); !math.IsInf(x, 0) && t.Contrast > flat {
				values = append(values, x)
			}
		}
		middle, spread := robust(values)
		for i, t := range all {
			if t.Contrast <= flat {
				if trait.name == "contrast" {
					list = append(list, Outlier{i, "flat", t.Contrast, math.Inf(-1)})
				}
				continue
			}
			if score := (trait.scale(trait.of(t)) - middle) / spread; math.Abs(score) >= least {
				list = append(list, Outlier{i, trait.name, trait.of(t), score})
			}
		}
	}
	stable.Sort(list, func(a, b Outlier) int {
		switch x, y := math.Abs(a.Score), math.Abs(b.Score); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return a.Index - b.Index
	})
	return list
}

// leastSpread is less than differences of pixels make; below it are those of rounding, as in a
// set whose images are mostly the same.
const leastSpread = 1e-6

// robust is the median, and a deviation from it that a few outliers do not move.
func robust(values []float64) (middle, spread float64) {
	if len(values) == 0 {
		return 0, math.Inf(1)
	}
	middle = median(values)
	away := make([]float64, len(values))
	for i, x := range values {
		away[i] = math.Abs(x - middle)
	}
	if spread = 1.4826 * median(away); spread < leastSpread { // that of a normal distribution
		spread = math.Inf(1)
	}
	return middle, spread
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

package survey

import (
	"math"
	"testing"
)

// TestMoments: those of known numbers, whatever the images they come in.
func TestMoments(t *testing.T) {
	m := NewMoments(2)
	m.Add([]float32{1, -1, 3, -1})
	m.Add([]float32{5, -1})
	mean, deviation := m.Mean(), m.Deviation()
	if mean[0] != 3 || mean[1] != -1 || math.Abs(deviation[0]-math.Sqrt(8.0/3)) > 1e-12 || deviation[1] != 0 || m.Min != -1 || m.Max != 5 {
		t.Errorf("mean %v, deviation %v, from %g to %g", mean, deviation, m.Min, m.Max)
	}
}

// TestTraits: of a checkerboard, grey of two channels.
func TestTraits(t *testing.T) {
	got := TraitsOf([]float32{1, 3, -2, -2, -2, -2, 2, 2}, 2, 2, 2)
	if want := (Traits{Brightness: 0, Contrast: 2, Detail: 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestOutliers: a dark, a flat and a noisy image among a hundred that differ a little.
func TestOutliers(t *testing.T) {
	all := make([]Traits, 100)
	for i := range all {
		x := math.Sin(float64(i))
		all[i] = Traits{0.1 * x, math.Exp(-1 + 0.1*x), math.Exp(-3 + 0.1*x)}
	}
	all[7].Brightness, all[20].Contrast, all[33].Detail = -0.9, 0, 1
	found := Outliers(all, 5)
	if len(found) != 3 || found[0].Index != 20 || found[0].Trait != "flat" || found[1].Index != 33 || found[1].Trait != "detail" || found[1].Score < 10 || found[2].Index != 7 || found[2].Score > -5 {
		t.Errorf("%+v", found)
	}
	if same := Outliers(make([]Traits, 3), 5); len(same) != 3 {
		t.Errorf("three flat images: %+v", same)
	}
	for i := range all {
		all[i] = Traits{0.5, 0.25 * (1 + 1e-12*float64(i%3)), 0.1} // apart by rounding
	}
	all[7].Detail, all[8].Contrast = 0.11, 0.26
	if alike := Outliers(all, 5); len(alike) != 0 {
		t.Errorf("images that are alike: %+v", alike)
	}
	if one := Outliers([]Traits{{1, 1, 1}}, 5); len(one) != 0 {
		t.Errorf("one image: %+v", one)
	}
}

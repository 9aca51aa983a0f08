package evaluate

import (
	"errors"
	"math"
	"slices"
	"testing"

	"fluxion/engine/metric"
	"fluxion/nets/feature"
)

// TestNotFinite: features that are no numbers are told with their image, and a metric of
// them is none.
func TestNotFinite(t *testing.T) {
	c := newCollection("", Needs{Features: true}, false)
	if err := c.add(feature.Pooled, []float32{1, 2, 3, 4}, 2); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		err := c.add(feature.Pooled, []float32{1, 2, 3, float32(bad)}, 2)
		if found := (*NotFiniteError)(nil); !errors.As(err, &found) || found.Image != 3 {
			t.Errorf("%v: %v", bad, err)
		}
	}
	huge := &Set{N: 2, Statistics: &metric.Statistics{N: 2, Mean: []float64{1e200}}}
	metrics := []Metric{{Name: "of huge", compute: func(a, _ *Set, _ Options) ([]Value, error) {
		return []Value{{Name: "of huge", Value: a.Statistics.Mean[0] * a.Statistics.Mean[0]}}, nil
	}}}
	if v, err := Compute(t.Context(), metrics, huge, nil, Options{}); err == nil {
		t.Errorf("%v is a number", v)
	}
}

// TestGives: a metric gives the numbers that it says.
func TestGives(t *testing.T) {
	features := metric.Features{Dim: 3}
	for i := range 40 {
		features.Append([]float32{float32(i % 5), float32(i % 7), float32(i*i%11) / 4})
	}
	statistics, err := metric.StatisticsOf(features)
	if err != nil {
		t.Fatal(err)
	}
	set := &Set{N: 40, Statistics: statistics, Spatial: statistics, Features: features, Logits: features}
	for _, m := range Metrics {
		values, err := m.compute(set, set, Options{Size: 10, Subsets: 3})
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		var got, want []string
		for _, v := range values {
			got = append(got, v.Name)
		}
		for _, g := range m.Gives {
			want = append(want, g.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s gives %v, says %v", m.Name, got, want)
		}
	}
}

// TestMemory: what is kept of images is counted, whatever metrics need of them.
func TestMemory(t *testing.T) {
	of := &feature.Network{Dim: 10, Classes: 3}
	for _, c := range []struct {
		needs        Needs
		images, want int
	}{
		{Needs{Statistics: true}, 11, 0}, {Needs{Statistics: true}, 10, 400}, {Needs{Features: true}, 11, 440},
		{Needs{Logits: true}, 11, 132}, {Needs{Features: true, Logits: true, Statistics: true}, 11, 572},
	} {
		if got := c.needs.Memory(c.images, of).Bytes; got != int64(c.want) {
			t.Errorf("%+v of %d images: %d bytes, want %d", c.needs, c.images, got, c.want)
		}
	}
}

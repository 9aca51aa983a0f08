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

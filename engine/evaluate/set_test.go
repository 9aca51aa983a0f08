package evaluate

import (
	"errors"
	"math"
	"testing"

	"fluxion/engine/metric"
	"fluxion/nets/feature"
)

// TestNotFinite: features that are no numbers are told with their image, and a metric of
// them is none.
func TestNotFinite(t *testing.T) {
	c := &collector{needs: Needs{Features: true}, set: &Set{}, sums: map[string]*metric.Accumulator{}, seen: map[string]int64{}}
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

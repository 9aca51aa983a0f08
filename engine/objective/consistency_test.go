package objective

import (
	"math"
	"testing"

	"fluxion/engine/process"
)

// TestNearer: the steps of consistency tuning, in σ/α, by stage.
func TestNearer(t *testing.T) {
	for stage, want := range map[float64][4]float64{0: {0, 0, 4.99818, 40}, 3: {.07, .80303, 9.37477, 75}, 7: {.09812, .98769, 9.96092, 79.6875}} {
		for i, ratio := range []float64{.1, 1, 10, 80} {
			if got := nearer(ratio, stage); math.Abs(got-want[i]) > 1e-5 {
				t.Errorf("stage %g: %g becomes %g, want %g", stage, ratio, got, want[i])
			}
		}
	}
}

// TestRatio: a tenth of the images begin where sampling does; others have the median
// that is asked for.
func TestRatio(t *testing.T) {
	d := of(t, "fm", "u", "uniform", "plain")
	d.Images = 1000
	o, err := newConsistency(d.Setup, process.Parameters{"mean": -1.1, "std": 2, "stages": 8})
	if err != nil {
		t.Fatal(err)
	}
	c := o.(*consistency)
	first, below, others := 0, 0, 0
	for at := range int64(10_000) {
		ratio := c.ratio(at)
		if ratio == mostRatio {
			first++
			continue
		}
		others++
		if ratio < math.Exp(-1.1) {
			below++
		}
	}
	if share := float64(below) / float64(others); first < 900 || first > 1200 || math.Abs(share-0.5) > 0.02 {
		t.Errorf("%d of 10,000 begin in pure noise, %.3f of the others are below the median", first, share)
	}
	if c.stage(0) != 0 || c.stage(125) != 1 || c.stage(999) != 7 || c.stage(5000) != 7 {
		t.Error("stages")
	}
}

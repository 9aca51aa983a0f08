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

// TestGrowingGrid: steps and probabilities of iCT, of 400,000 images in the place of steps.
func TestGrowingGrid(t *testing.T) {
	g := growingGrid{10, 1280}
	for at, want := range map[int64]float64{0: 10, 49_999: 10, 50_000: 20, 100_000: 40, 350_000: 1280, 399_999: 1280, 1e6: 1280} {
		if got := g.steps(at, 400_000); got != want {
			t.Errorf("%d: %g steps, want %g", at, got, want)
		}
	}
	d := of(t, "fm", "u", "uniform", "plain")
	d.Images = 1_000_000
	o, err := newConsistency(d.Setup, process.Parameters{"mean": -1.1, "std": 2, "stages": 8, "first": 10, "last": 10})
	if err != nil {
		t.Fatal(err)
	}
	c := o.(*consistency)
	var share [10]float64
	others := 0.0
	for at := range int64(40_000) {
		above, below := c.points(at)
		i := 0
		for level(float64(i+1), 10) < above*(1-1e-9) {
			i++
		}
		if math.Abs(below-level(float64(i), 10)) > 1e-9*above {
			t.Fatalf("%g is beside %g", above, below)
		}
		if c.ratio(at) < mostRatio { // a tenth begins where sampling does
			share[i]++
			others++
		}
	}
	for i, want := range []float64{.0626, .1817, .2455, .2135, .1425, .0806, .0411, .0196, .0089, .0040} {
		if got := share[i] / others; math.Abs(got-want) > 0.006 {
			t.Errorf("level %d: a share of %.4f, want %.4f", i, got, want)
		}
	}
	for _, p := range []process.Parameters{{"first": 0.5, "last": 10}, {"first": 20, "last": 10}} {
		p["std"], p["stages"] = 2, 8
		if _, err := newConsistency(d.Setup, p); err == nil {
			t.Errorf("%v is taken", p)
		}
	}
}

// TestConsistencyWeights: with pseudo-Huber, an error of the network's output weighs as
// that of x by 1/(σ − σ'), in σ/α: a network of u on the straight path is off by t in x.
func TestConsistencyWeights(t *testing.T) {
	d := of(t, "fm", "u", "uniform", "plain")
	d.Images, d.Distance = 1000, "huber"
	kind, err := Find("consistency")
	if err != nil {
		t.Fatal(err)
	}
	o, err := kind.New(d.Setup)
	if err != nil {
		t.Fatal(err)
	}
	b, l, err := Build(o, Options{Network: knows{two: two{1, .5}, scale: 1000}, Batch: 8, Height: 1, Width: 1})
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string][]float32{}
	for at := range int64(40) {
		l.Feed(int(at%8), at)
		for node, values := range fed(b) {
			numbers[node.Name()] = values
		}
		ratio, next := o.(*consistency).points(at)
		weight, scale := numbers["weight"][at%8], numbers["scale of errors"][at%8]
		if ratio == mostRatio { // which stands for pure noise
			ratio, scale = 1, 1
			weight *= float32(mostRatio - next)
			next = 0
		}
		if math.Abs(float64(weight)*(ratio-next)-1) > 1e-5 || math.Abs(float64(scale)/(ratio/(1+ratio))-1) > 1e-5 && ratio != 1 {
			t.Errorf("from %g to %g: weight %g, scale %g", ratio, next, weight, scale)
		}
	}
}

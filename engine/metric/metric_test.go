package metric

import (
	"math"
	"runtime"
	"testing"
)

func rows(dim int, values ...float32) Features { return Features{Dim: dim, Values: values} }

// TestKernelDistance: by hand of six points.
func TestKernelDistance(t *testing.T) {
	x, y := rows(2, 0, 0, 1, 0, 0, 1), rows(2, 1, 1, 2, 0, 0, 2)
	got, err := KernelDistance(x, y)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the kernel distance", got, 0.5, 1e-14)
	if _, _, err := KernelSubsets(x, y, KernelOptions{Subsets: 1, Size: 4}); err == nil {
		t.Error("3 images have a subset of 4")
	}
	mean, deviation, err := KernelSubsets(x, y, KernelOptions{Subsets: 4, Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the mean over subsets that are all", mean, 0.5, 1e-14)
	near(t, "their deviation", deviation, 0, 1e-14)
	if _, err := KernelDistance(rows(2, 0, 0), y); err == nil {
		t.Error("one image has an unbiased distance")
	}
}

// TestKernelSubsets: over many subsets their mean is the distance of all; each has no
// image twice.
func TestKernelSubsets(t *testing.T) {
	a, b := normal(300, 4, 1), normal(300, 4, 2)
	for i := range b.Values {
		b.Values[i] += 1
	}
	all, err := KernelDistance(a, b)
	if err != nil {
		t.Fatal(err)
	}
	mean, deviation, err := KernelSubsets(a, b, KernelOptions{Subsets: 200, Size: 50, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(mean-all) > 4*deviation/math.Sqrt(200) || deviation == 0 {
		t.Errorf("mean %g ± %g over subsets, %g of all", mean, deviation, all)
	}
	seen := map[int]bool{}
	for _, i := range shuffled(100, 100, 5, 6) {
		seen[i] = true
	}
	if len(seen) != 100 {
		t.Errorf("a random order of 100 holds %d", len(seen))
	}
}

// TestInceptionScore: the values are those of the definition, in float64. A seed decides
// which images are judged together.
func TestInceptionScore(t *testing.T) {
	logits := Features{Dim: 3}
	for _, p := range []float64{.7, .2, .1, .1, .8, .1, .2, .2, .6, .25, .25, .5} {
		logits.Append([]float32{float32(math.Log(p)) + 5}) // a constant more changes nothing
	}
	order := []int{0, 1, 2, 3}
	for splits, want := range map[int][2]float64{1: {1.2698406188, 0}, 2: {1.1273983924, 0.1223261819}} {
		mean, deviation, err := inceptionScore(logits, order, splits)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "the score", mean, want[0], 1e-6)
		near(t, "its deviation", deviation, want[1], 1e-6)
	}
	scores := map[float64]bool{}
	for seed := range uint64(20) {
		mean, _, err := InceptionScore(logits, 2, seed)
		again, _, _ := InceptionScore(logits, 2, seed)
		if err != nil || again != mean {
			t.Errorf("seed %d: %v, then %v, %v", seed, mean, again, err)
		}
		scores[math.Round(mean*1e6)] = true
	}
	if len(scores) != 3 { // pairs of 4 images
		t.Errorf("of 20 seeds there are the scores %v, want 3", scores)
	}
	if _, _, err := InceptionScore(logits, 5, 0); err == nil {
		t.Error("4 images have 5 parts")
	}
}

// TestNeighbours: values by the authors' codes, of open and of closed balls.
func TestNeighbours(t *testing.T) {
	real, fake := rows(2, 0, 0, 1, 0, 0, 1, 1, 1, 3, 3), rows(2, .1, 0, .9, .2, 5, 5, .5, .5)
	for _, c := range []struct {
		o    ManifoldOptions
		want Manifold
	}{
		{ManifoldOptions{K: 1}, Manifold{.75, .8, 2.25, .8}},
		{ManifoldOptions{K: 2}, Manifold{1, .8, 1.5, 1}},
	} {
		got, err := Neighbours(fake, real, c.o)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range []float64{got.Precision, got.Recall, got.Density, got.Coverage} {
			near(t, [...]string{"precision", "recall", "density", "coverage"}[i], v, []float64{c.want.Precision, c.want.Recall, c.want.Density, c.want.Coverage}[i], 1e-12)
		}
	}
	closed, err := Neighbours(fake, real, ManifoldOptions{K: 1, Closed: true})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "precision of closed balls", closed.Precision, 1, 0)
	near(t, "recall of closed balls", closed.Recall, .8, 1e-12)
	if _, err := Neighbours(fake, real, ManifoldOptions{K: 4}); err == nil {
		t.Error("4 samples have 4 neighbours each")
	}
}

// TestNearest: copies are found, are 0 apart, and are not authentic.
func TestNearest(t *testing.T) {
	real := normal(300, 6, 1)
	for i := range real.Values {
		real.Values[i] += 1e3 // so that products alone cannot tell a copy
	}
	copies := Features{Dim: 6}
	for _, i := range []int{299, 0, 130, 7} {
		copies.Append(real.Row(i))
	}
	matches, err := Nearest(copies, real)
	if err != nil {
		t.Fatal(err)
	}
	for k, i := range []int{299, 0, 130, 7} {
		if matches[k] != (Match{i, 0}) {
			t.Errorf("copy of %d: found %+v", i, matches[k])
		}
	}
	if a, err := Authentic(copies, real); err != nil || a != 0 {
		t.Errorf("copies: authentic %g, %v", a, err)
	}
	others := normal(300, 6, 2)
	for i := range others.Values {
		others.Values[i] += 1e3
	}
	// One more point of the same kind is as far from its neighbours as they are.
	if a, err := Authentic(others, real); err != nil || a < 0.35 || a > 0.75 {
		t.Errorf("samples of the same distribution: authentic %g, %v", a, err)
	}
}

// TestSliced: the closed form of two normal distributions, and one point by hand.
func TestSliced(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	a, b := normal(4000, 16, 1), normal(3000, 16, 2)
	for i := range b.Values {
		b.Values[i] += 0.5
	}
	got, err := Sliced(a, b, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the sliced distance", got, 3*16*0.25, 0.1)
	near(t, "quantiles of 2 and 3 points", wasserstein([]float64{0, 6}, []float64{0, 3, 6}), (2*0+1*9+1*9+2*0)/6., 1e-15)
}

// TestThreads: the same bits on one thread and on many.
func TestThreads(t *testing.T) {
	a, b := normal(333, 9, 1), normal(414, 9, 2)
	all := func() [4]float64 {
		k, err := KernelDistance(a, b)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Neighbours(a, b, ManifoldOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Sliced(a, b, 200, 1)
		if err != nil {
			t.Fatal(err)
		}
		return [4]float64{k, m.Density, m.Coverage, s}
	}
	many := all()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if one := all(); one != many {
		t.Errorf("one thread gives %v, more give %v", one, many)
	}
}

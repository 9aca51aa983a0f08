package metric

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// TestNearCopies: of new samples as many are called copies as the share says, and of
// copies with a little noise all.
func TestNearCopies(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	draw := func(n int) Features {
		f := Features{Dim: 4}
		for range n * f.Dim {
			f.Values = append(f.Values, float32(random.NormFloat64()))
		}
		return f
	}
	real, samples := draw(3000), draw(3000)
	for _, share := range []float64{0.01, 0.05, 0.2} {
		matches, err := Nearest(samples, real)
		if err != nil {
			t.Fatal(err)
		}
		c, err := NearCopies(matches, real, share)
		if err != nil || math.Abs(c.Share-share) > 4*math.Sqrt(share/3000)+0.2*share { // the distance is an estimate, too
			t.Errorf("of new samples %+v, %v; want a share of %g", c, err, share)
		}
	}
	copies := draw(500)
	for i := range 300 {
		copy(copies.Row(i), real.Row(7*i))
		copies.Row(i)[0] += 1e-3
	}
	matches, err := Nearest(copies, real)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := NearCopies(matches, real, 0.01); err != nil || c.Share < 0.6 || c.Share > 0.62 || c.Distance < 1e-3 {
		t.Errorf("300 copies of 500: %+v, %v", c, err)
	}
	// 0 is 1 from its neighbour, 1 too, 3 is 2 from its, and 7 is 4.
	line := Features{Dim: 1, Values: []float32{0, 1, 3, 7}}
	c, err := NearCopies([]Match{{0, 0.9}, {0, 1}, {1, 1.5}}, line, 0.5)
	if err != nil || c.Distance != 2 || c.Share != 1 {
		t.Errorf("on a line: %+v, %v", c, err)
	}
	if c, _ := NearCopies([]Match{{0, 0.9}, {0, 1}, {1, 1.5}}, line, 0.1); c.Distance != 1 || c.Share != 1./3 {
		t.Errorf("on a line: %+v", c)
	}
	var few *CountError
	if _, err := NearCopies(matches, draw(1), 0.01); !errors.As(err, &few) {
		t.Error(err)
	}
}

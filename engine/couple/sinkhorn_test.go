package couple

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// points are the three and three of the classic example.
func points() Step {
	at := [][]float32{{0, 0}, {1, 0}, {0, 2}} // as noise, by address
	return multiplied(Step{
		Images: [][]float32{{1, 1}, {0, 1.5}, {2, 0}}, Classes: []int32{-1, -1, -1}, Noise: []int64{0, 1, 2}, At: []int64{0, 1, 2}, Seed: 1,
		Draw: func(address int64, to []float32) { copy(to, at[address]) },
	})
}

// TestPoints: the assignment of the three points is the one best.
func TestPoints(t *testing.T) {
	s := points()
	pair(t, get(t, "ot-across"), s)
	if want := []int64{0, 2, 1}; !slices.Equal(s.Noise, want) {
		t.Errorf("%v, want %v", s.Noise, want)
	}
}

// TestSinkhornPlan: the plan of three points at reg ½ is that of POT's ot.sinkhorn.
func TestSinkhornPlan(t *testing.T) {
	s := points()
	var p transportPlan
	p.resize(3)
	for i := range 3 {
		for j := range 3 {
			p.cost[i*3+j] = s.Products.Distance(i, j)
		}
	}
	if missing := p.solve(.5, 10_000, 1e-12); missing > 1e-12 {
		t.Errorf("%v is missing", missing)
	}
	want := [3][3]float64{{.25848227, .03737695, .03747412}, {.03737695, 9.899e-5, .29585739}, {.03747412, .29585739, 1.82e-6}} // by noise, image
	for j, row := range want {
		for i, w := range row {
			if got := p.share(i, j) / 3; math.Abs(got-w) > 5e-9+5e-4*math.Min(w, 1e-5) {
				t.Errorf("noise %d, image %d: %.9f, want %.9f", j, i, got, w)
			}
		}
	}
}

// TestSinkhorn: noise is drawn as the plan has it; little reg gives the assignment, much
// the pairing by chance; relative and absolute are the same at the same scale; and a plan
// that does not converge is told.
func TestSinkhorn(t *testing.T) {
	const steps = 4000
	var counts [3][3]float64
	c, mean := get(t, "sinkhorn:absolute=0.5"), 0.0
	s := points()
	for i := range 3 {
		for j := range 3 {
			mean += s.Products.Distance(i, j) / 9
		}
	}
	relative := get(t, fmt.Sprintf("sinkhorn:reg=%.17g", .5/mean))
	for seed := range uint64(steps) {
		s, r := points(), points()
		s.Seed, r.Seed = seed, seed
		pair(t, c, s)
		if pair(t, relative, r); !slices.Equal(s.Noise, r.Noise) {
			t.Fatalf("relative: %v, absolute: %v", r.Noise, s.Noise)
		}
		for i, j := range s.Noise {
			counts[i][j] += 3. / steps
		}
	}
	want := [3][3]float64{{.7754, .1121, .1124}, {.1121, .0003, .8876}, {.1124, .8876, 0}}
	for i, row := range want {
		for j, w := range row {
			if got := counts[i][j] / 3; math.Abs(got-w) > 4*math.Sqrt(w*(1-w)/steps)+1e-3 {
				t.Errorf("image %d has noise %d in %.4f of the steps, want %.4f", i, j, got, w)
			}
		}
	}
	sharp := points()
	if err := get(t, "sinkhorn:absolute=0.02").Pair(sharp); err != nil || !slices.Equal(sharp.Noise, []int64{0, 2, 1}) {
		t.Errorf("little reg: %v, %v", sharp.Noise, err)
	}
	hard := normal(0, 60, 3)
	if err := get(t, "sinkhorn:reg=0.00001").Pair(hard); err == nil || !strings.Contains(err.Error(), "larger reg") {
		t.Errorf("a plan that does not converge: %v", err)
	}
}

// TestSinkhornClasses: noise stays in its class.
func TestSinkhornClasses(t *testing.T) {
	s := normal(100, 30, 5)
	pair(t, get(t, "sinkhorn"), s)
	for i, a := range s.Noise {
		if s.Classes[i] != s.Classes[a-100] {
			t.Errorf("an image of class %d has noise of class %d", s.Classes[i], s.Classes[a-100])
		}
	}
}

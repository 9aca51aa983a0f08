package figures

import (
	"math"
	"testing"
)

// series is one of a panel, by name.
func series(t *testing.T, p Panel, name string) Series {
	t.Helper()
	for _, s := range p.Series {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("%s has no series %q", p.Title, name)
	return Series{}
}

// TestReflow: paths on a line keep their order, so that straight lines from their
// beginnings to their ends do not cross; Euler comes to their ends with more steps.
func TestReflow(t *testing.T) {
	f, err := reflow(Images{})
	if err != nil {
		t.Fatal(err)
	}
	first := f.Frames[0].Panels
	for k, z := range series(t, first[0], "Euler").Y {
		if k%3 == 1 && math.Abs(z) > 1e-12 { // start, end, cut
			t.Errorf("one step leads to %g, not to the mean of the data", z)
		}
	}
	lines := series(t, first[1], "paths").Y
	for k := 3; k < len(lines); k += 3 {
		if lines[k] <= lines[k-3] || lines[k+1] <= lines[k-2] {
			t.Errorf("paths from %g and %g end at %g and %g", lines[k-3], lines[k], lines[k-2], lines[k+1])
		}
	}
	last := f.Frames[len(f.Frames)-1].Panels
	few, exact := series(t, last[0], "Euler").Y, series(t, last[1], "Euler").Y
	for k := 16; k < len(few); k += 18 {
		if math.Abs(few[k]-exact[k]) > 0.15 {
			t.Errorf("16 steps end at %g, and the path at %g", few[k], exact[k])
		}
	}
}

// TestFewSteps: in one step Euler goes to the mean of the data, and the flow map into it.
func TestFewSteps(t *testing.T) {
	f, err := fewSteps(Images{})
	if err != nil {
		t.Fatal(err)
	}
	ring := [2]Panel{f.Frames[0].Panels[2], f.Frames[0].Panels[5]}
	euler, jumps := series(t, ring[0], "samples"), series(t, ring[1], "samples")
	near := 0
	for i := range euler.X {
		if r := math.Hypot(euler.X[i], euler.Y[i]); r > 1e-9 {
			t.Fatalf("one step of Euler's leads %g away from the mean", r)
		}
		if math.Abs(math.Hypot(jumps.X[i], jumps.Y[i])-1.4) < 3*0.1 {
			near++
		}
	}
	if near < len(jumps.X)*9/10 {
		t.Errorf("%d of %d samples of the flow map are near the ring", near, len(jumps.X))
	}
}

// TestCouplings: transport is shortest, and what it saves on a line is what order
// statistics say: 1/π of two normal numbers.
func TestCouplings(t *testing.T) {
	if s := sorted(2); math.Abs(s-1/math.Pi) > 1e-6 {
		t.Errorf("the mean product of two sorted numbers is %g, want 1/π", s)
	}
	if s := sorted(128); math.Abs(s-0.978186) > 1e-6 {
		t.Errorf("of 128 it is %g, want 0.978186", s)
	}
	f, err := couplingCost(Images{})
	if err != nil {
		t.Fatal(err)
	}
	all := f.Frames[0].Series
	line, exact := all[0], all[len(all)-1]
	for i, y := range line.Y {
		if math.Abs(y-exact.Y[i]) > 0.05 {
			t.Errorf("%g numbers: pairs cost %.3f, want %.3f", line.X[i], y, exact.Y[i])
		}
		for j := 1; j < len(all)-1; j++ {
			if all[j].Y[i] < all[j-1].Y[i]-0.02 {
				t.Errorf("%g images: %s save more than %s", line.X[i], all[j].Name, all[j-1].Name)
			}
		}
	}
}

// TestStraightness: of a line at one speed it is 0; of one that is gone along in its first
// half, |z₁ − z₀|².
func TestStraightness(t *testing.T) {
	line, early := [][]float64{{0, 1}, {1, 1}, {2, 1}}, [][]float64{{0, 1}, {2, 1}, {2, 1}}
	if a, b := Straightness(line), Straightness(early); a != 0 || b != 4 {
		t.Errorf("straightness %g and %g, want 0 and 4", a, b)
	}
}

// TestLearntFigures: each of what is for few steps has its place, and distances are those of
// the best assignment.
func TestLearntFigures(t *testing.T) {
	points := [][]float64{{0, 0}, {1, 0}}
	moved := [][]float64{{1, 1}, {0, 1}}
	all := LearntFigures("points", points, []Learnt{
		{Name: "flow", Samples: map[int][][]float64{1: moved, 2: points, 4: points}, Paths: [][][]float64{{{0, 0}, {2, 0}, {2, 0}}}, Fine: true},
		{Name: "kd", Samples: map[int][][]float64{1: points}, Paths: [][][]float64{{{0, 0}, {1, 1}}}},
	})
	few, ways := all[0].Frames[0].Panels, all[1].Frames[0].Panels
	if len(few) != 6 || few[0].Title != "flow, 1 step: 1.000" || few[3].Title != "kd, 1 step: 0.000" || few[4].Series != nil {
		t.Errorf("panels %v", few)
	}
	if len(ways) != 2 || ways[0].Title != "flow: 4.000" || ways[1].Title != "kd" {
		t.Errorf("ways %v", ways)
	}
}

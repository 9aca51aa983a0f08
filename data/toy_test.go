package data

import (
	"math"
	"strings"
	"testing"
)

// TestToys: points are centred, of variance about 1, and where the distribution says.
func TestToys(t *testing.T) {
	const n = 20_000
	inside := map[string]func(x, y float64, class int) bool{
		"moons": func(x, y float64, class int) bool {
			x, y = x/math.Sqrt2+0.5, y/math.Sqrt2+0.25 // as scikit-learn has them
			if class == 1 {
				x, y = 1-x, 0.5-y
			}
			return math.Abs(math.Hypot(x, y)-1) < 0.3 && y > -0.3
		},
		"rings":        func(x, y float64, class int) bool { return math.Abs(math.Hypot(x, y)-1.8/float64(1+class)) < 0.4 },
		"checkerboard": func(x, y float64, _ int) bool { return int(math.Floor(x/0.85)+math.Floor(y/0.85))%2 == 0 },
		"swissroll":    func(x, y float64, _ int) bool { r := math.Hypot(x, y); return r > 0.4 && r < 2.3 },
		"gaussians": func(x, y float64, class int) bool {
			return math.Hypot(x-1.4*math.Cos(float64(class)*math.Pi/4), y-1.4*math.Sin(float64(class)*math.Pi/4)) < 0.6
		},
		"grid": func(x, y float64, _ int) bool {
			x, y = x*math.Sqrt2, y*math.Sqrt2
			return math.Hypot(x-math.Round(x), y-math.Round(y)) < 0.5 && math.Abs(math.Round(x)) <= 2 && math.Abs(math.Round(y)) <= 2
		},
		"spirals": func(x, y float64, class int) bool {
			r := math.Hypot(x, y) / 2
			turn := math.Remainder(math.Atan2(y, x)-math.Pi*(3*r+float64(class)), 2*math.Pi)
			return math.Abs(turn*r)/math.Hypot(1, 3*math.Pi*r) < 0.1 // distance from the curve
		},
		"pinwheel": func(x, y float64, _ int) bool { return math.Hypot(x, y) < 4.5 },
	}
	for _, of := range distributions {
		d := mustOpen(t, "toy:"+of.name)
		if h, w, c := d.Shape(); h != 1 || w != 1 || c != 2 || len(d.Classes()) != of.classes || inside[of.name] == nil {
			t.Fatalf("%s: points of %d×%d×%d, %d classes", of.name, h, w, c, len(d.Classes()))
		}
		var mean, square [2]float64
		outside := 0
		e := NewExample(d)
		for i := range n {
			if err := d.Read(i, e); err != nil {
				t.Fatal(err)
			}
			for k, x := range e.Floats {
				mean[k] += float64(x) / n
				square[k] += float64(x) * float64(x) / n
			}
			if !inside[of.name](float64(e.Floats[0]), float64(e.Floats[1]), e.Class) {
				outside++
			}
		}
		variance := (square[0] - mean[0]*mean[0] + square[1] - mean[1]*mean[1]) / 2
		if math.Hypot(mean[0], mean[1]) > 0.35 || variance < 0.9 || variance > 1.1 {
			t.Errorf("%s: mean %.2f, variance %.3f", of.name, mean, variance)
		}
		if outside > n/1000 {
			t.Errorf("%s: %d of %d points are where none should be", of.name, outside, n)
		}
	}
	if _, err := Open("toy:moon", Options{}); err == nil || !strings.Contains(err.Error(), `did you mean "moons"`) {
		t.Errorf("toy:moon: %v", err)
	}
}

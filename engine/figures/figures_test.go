package figures

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func noise(side, n int) Images {
	rng := rand.New(rand.NewPCG(1, 2))
	images := Images{Name: "noise", Side: side}
	for range n {
		pixels := make([]float64, side*side)
		for i := range pixels {
			pixels[i] = rng.NormFloat64()
		}
		images.Pixels = append(images.Pixels, pixels)
	}
	return images
}

// TestSpectrum: white noise is flat, and a wave stands at its frequency alone.
func TestSpectrum(t *testing.T) {
	for r, p := range RadialSpectrum(noise(16, 400)) {
		if math.Abs(p-1) > 0.15 {
			t.Errorf("white noise of variance 1 has power %.3f at %d cycles", p, r)
		}
	}
	const side, cycles = 16, 3
	wave := Images{Side: side, Pixels: [][]float64{make([]float64, side*side)}}
	for i := range wave.Pixels[0] {
		wave.Pixels[0][i] = math.Cos(2 * math.Pi * cycles * float64(i%side) / side)
	}
	total := 0.0
	for r, p := range RadialSpectrum(wave) {
		if r != cycles && p > 1e-20 {
			t.Errorf("a wave of %d cycles has power %g at %d", cycles, p, r)
		}
		total += p
	}
	if total == 0 {
		t.Error("a wave without power")
	}
}

// TestFigures: every figure is drawn from finite numbers, and shows what its caption claims.
func TestFigures(t *testing.T) {
	all, err := All(noise(16, 4))
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Figure{}
	for _, f := range all {
		byName[f.Name] = f
		if f.Slider.Values != nil && len(f.Slider.Values) != len(f.Frames) || f.Slider.Default >= len(f.Frames) {
			t.Errorf("%s: %d frames for %d values, of which %d is shown", f.Name, len(f.Frames), len(f.Slider.Values), f.Slider.Default)
		}
		for _, frame := range f.Frames {
			var series []Series
			for _, p := range frame.All() {
				series = append(series, p.Series...)
			}
			for _, s := range series {
				finite := 0
				for i := range s.X {
					if !math.IsNaN(s.Y[i]) && !math.IsInf(s.Y[i], 0) {
						finite++
					}
				}
				if finite < 2 && s.Kind != Points && s.Kind != Cloud && len(s.X) > 0 || len(s.X) != len(s.Y) {
					t.Errorf("%s, %s: %d finite of %d points", f.Name, s.Name, finite, len(s.X))
				}
			}
		}
	}
	for _, frame := range byName["scaling"].Frames {
		ddim, euler, ode := frame.Series[0].Y, frame.Series[1].Y, frame.Series[2].Y
		spread := 0.0
		for i := range ddim {
			if math.Abs(ddim[i]-ddim[0]) > 1e-9 || math.Abs(ddim[i]-euler[i]) > 1e-9 {
				t.Errorf("scaling: ddim gives %g and euler %g, at another scale %g", ddim[i], euler[i], ddim[0])
			}
			spread = math.Max(spread, math.Abs(ode[i]-ode[0]))
		}
		if spread < 1e-3 {
			t.Errorf("scaling: Euler on the ODE does not notice the scale, it moves by %g", spread)
		}
	}
	for _, frame := range byName["ddpm"].Frames {
		for j := range 3 {
			for i, y := range frame.Series[j].Y {
				if math.Abs(y-frame.Series[j+3].Y[i]) > 1e-9 {
					t.Errorf("ddpm: %s is %g and %g", frame.Series[j].Name, y, frame.Series[j+3].Y[i])
				}
			}
		}
	}
	for _, frame := range byName["invariance"].Frames {
		areas := map[string]bool{}
		for _, word := range strings.Fields(frame.Note) {
			if strings.Contains(word, ".") {
				areas[word] = true
			}
		}
		if len(areas) != 1 {
			t.Errorf("invariance: %s", frame.Note)
		}
	}
}

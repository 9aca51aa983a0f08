package figures

import (
	"fmt"
	"math"

	"fluxion/engine/process"
)

// schedules draws every schedule as log-SNR over time.
func schedules(Images) (Figure, error) {
	f := Figure{
		Title:   "Schedules as log-SNR over time",
		Caption: "λ(t) = ln(α²/σ²). Two schedules with the same λ differ by a scaling of z only, which changes neither the objective nor the best sampler (MATHEMATICS.md, sections 1 and 4).",
		X:       "time t (0 data, 1 noise)", Y: "log signal-to-noise ratio λ", YRange: [2]float64{-15, 15},
	}
	var frame Frame
	for _, n := range process.ListSchedules() {
		s, err := process.GetSchedule(n.Name, process.ScheduleOptions{})
		if err != nil {
			return f, err
		}
		frame.Series = append(frame.Series, curve(n.Name, Line, 0, 1, 201, func(t float64) float64 {
			l := s.LogSNR(t)
			if math.Abs(l) > 30 {
				return math.NaN()
			}
			return l
		}))
	}
	f.Frames = []Frame{frame}
	return f, nil
}

// paths draws schedules in the plane of signal and noise.
func paths(Images) (Figure, error) {
	f := Figure{
		Title:   "Schedules as paths of signal and noise",
		Caption: "z = αx + σε from (1, 0) to (0, 1). Points are equal log-SNR on different paths: they lie on lines through the origin (MATHEMATICS.md, section 1).",
		X:       "signal α", Y: "noise σ", YRange: [2]float64{0, 1.1},
	}
	var frame Frame
	for _, name := range []string{"fm", "cosine", "sub-vp"} {
		s, err := process.GetSchedule(name, process.ScheduleOptions{})
		if err != nil {
			return f, err
		}
		line := Series{Name: name, Kind: Line}
		for i := range 201 {
			a, b := s.AlphaSigma(float64(i) / 200)
			line.X, line.Y = append(line.X, a), append(line.Y, b)
		}
		frame.Series = append(frame.Series, line)
		for _, l := range []float64{-4, -2, 0, 2, 4} {
			a, b := s.Path().At(l)
			frame.points(fmt.Sprintf("λ = %g", l), a, b)
		}
	}
	f.Frames = []Frame{frame}
	return f, nil
}

// points adds a point to the series of that name.
func (f *Frame) points(name string, x, y float64) {
	for i := range f.Series {
		if s := &f.Series[i]; s.Name == name {
			s.X, s.Y = append(s.X, x), append(s.Y, y)
			return
		}
	}
	f.Series = append(f.Series, Series{Name: name, Kind: Points, X: []float64{x}, Y: []float64{y}})
}

// straightness draws exact trajectories of Gaussian data: which schedule gives
// straight ones depends on the data.
func straightness(Images) (Figure, error) {
	f := Figure{
		Title:   "Straight paths depend on the data",
		Caption: "Exact trajectories z_t = z_1·√(α²s²+σ²)/√(α₁²s²+σ₁²) for data N(0, s²) from z_1 = ±1, ±2. Flow matching is straight when the data is a point (s = 0); for data as wide as the noise (s = 1), the variance-preserving path is, and flow matching bends.",
		X:       "time t", Y: "z",
	}
	stds := []float64{0, 0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2}
	var err error
	f.Slider, f.Frames, err = family("s, deviation of the data", stds, 3, func(std float64) (Frame, error) {
		var frame Frame
		note := "departure from a straight line, ∫(ż − (z₁−z₀))² dt for z₁ = 1:"
		for _, c := range []struct {
			name string
			kind Kind
		}{{"fm", Line}, {"cosine", Dashed}} {
			s, err := process.GetSchedule(c.name, process.ScheduleOptions{})
			if err != nil {
				return frame, err
			}
			width := func(t float64) float64 {
				a, b := s.AlphaSigma(t)
				return math.Hypot(a*std, b)
			}
			line := Series{Name: c.name, Kind: c.kind}
			for _, start := range []float64{-2, -1, 1, 2} {
				one := curve("", Line, 0, 1, 101, func(t float64) float64 { return start * width(t) / width(1) })
				line.X, line.Y = append(append(line.X, one.X...), math.NaN()), append(append(line.Y, one.Y...), math.NaN())
			}
			frame.Series = append(frame.Series, line)
			note += fmt.Sprintf("  %s %.4f", c.name, departure(func(t float64) float64 { return width(t) / width(1) }))
		}
		frame.Note = note
		return frame, nil
	})
	return f, err
}

// departure is ∫(ż − (z₁−z₀))² dt, by differences.
func departure(z func(t float64) float64) float64 {
	const n = 2000
	mean, sum := z(1)-z(0), 0.0
	for i := range n {
		d := (z(float64(i+1)/n)-z(float64(i)/n))*n - mean
		sum += d * d / n
	}
	return sum
}

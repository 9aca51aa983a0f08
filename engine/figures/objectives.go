package figures

import (
	"fmt"
	"math"

	"fluxion/engine/process"
)

// lambdas bound log-SNR axes.
const leastLambda, mostLambda = -10., 10.

// objective is a training configuration by names.
func objective(schedule, output, times, weighting string) (process.Objective, error) {
	p, err := process.Get(schedule, process.ScheduleOptions{}, output)
	if err != nil {
		return process.Objective{}, err
	}
	return process.NewObjective(p, times, weighting)
}

// normalised is a curve divided by its largest value.
func normalised(s Series) Series {
	top := 0.0
	for _, y := range s.Y {
		top = math.Max(top, y)
	}
	for i := range s.Y {
		s.Y[i] /= top
	}
	return s
}

// weightings compares what published configurations weigh, whatever they call it.
func weightings(Images) (Figure, error) {
	f := Figure{
		Title:   "Effective weightings of published training recipes",
		Caption: "w(λ) in ∫ w(λ) E‖ε̂−ε‖² dλ, each divided by its maximum. A recipe gives a schedule, an output and a distribution of times; only w(λ) matters in the end, and flow matching is v-prediction on the cosine (MATHEMATICS.md, section 3).",
		X:       "log signal-to-noise ratio λ", Y: "w(λ), maximum 1", LogY: true, YRange: [2]float64{1e-4, 1.3},
	}
	const coincident = "v-prediction on the cosine"
	var frame Frame
	for _, c := range []struct{ name, schedule, output, times, weighting string }{
		{"flow matching: u, uniform t", "fm", "u", "uniform", "plain"},
		{coincident, "cosine", "v", "uniform", "plain"},
		{"improved DDPM: ε on the cosine", "cosine", "eps", "uniform", "plain"},
		{"DDPM: ε on linear β", "vp-linear", "eps", "uniform", "plain"},
		{"SD3: u, logit-normal t", "fm", "u", "logit-normal", "plain"},
		{"EDM", "ve", "edm", "edm", "edm"},
		{"monotone EDM (VDM++)", "cosine", "v", "uniform", "monotone-edm"},
		{"min-SNR-5 on the cosine", "cosine", "v", "uniform", "min-snr"},
		{"sigmoid (SiD2)", "cosine", "v", "uniform", "sigmoid"},
		{"likelihood bound (ELBO)", "cosine", "v", "uniform", "elbo"},
	} {
		o, err := objective(c.schedule, c.output, c.times, c.weighting)
		if err != nil {
			return f, err
		}
		from, to := within(o.Process.Schedule)
		kind := Line
		if c.name == coincident {
			kind = Dashed // to be seen over flow matching
		}
		frame.Series = append(frame.Series, normalised(curve(c.name, kind, from, to, 241, o.Effective)))
	}
	f.Frames = []Frame{frame}
	return f, nil
}

// within is the part of the axis that a schedule reaches.
func within(s process.Schedule) (from, to float64) {
	return math.Max(leastLambda, s.LogSNR(1)+1e-6), math.Min(mostLambda, s.LogSNR(0)-1e-6)
}

// sd3AgainstEDM shows that two recipes found apart weigh nearly the same.
func sd3AgainstEDM(Images) (Figure, error) {
	f := Figure{
		Title:   "Stable Diffusion 3 against EDM",
		Caption: "SD3's logit-normal times on the flow output and EDM's weighting, each with maximum 1: for a mean near 0 they are much alike, though their texts share no formula (MATHEMATICS.md, section 3).",
		X:       "log signal-to-noise ratio λ", Y: "w(λ), maximum 1",
	}
	edm, err := process.GetWeighting("edm")
	if err != nil {
		return f, err
	}
	means := []float64{-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1}
	f.Slider, f.Frames, err = family("mean of ln(t/(1−t)) in SD3", means, 4, func(mean float64) (Frame, error) {
		sd3, err := process.GetWeighting(fmt.Sprintf("sd3:mean=%g", mean))
		if err != nil {
			return Frame{}, err
		}
		of := func(w process.Weighting) func(float64) float64 {
			return func(l float64) float64 { return w.Of(l, 1, 1) }
		}
		a := normalised(curve("EDM", Line, leastLambda, mostLambda, 241, of(edm)))
		b := normalised(curve("SD3", Dashed, leastLambda, mostLambda, 241, of(sd3)))
		worst := 0.0
		for i := range a.Y {
			worst = math.Max(worst, math.Abs(a.Y[i]-b.Y[i]))
		}
		return Frame{Series: []Series{a, b}, Note: fmt.Sprintf("largest difference %.2f", worst)}, nil
	})
	return f, err
}

// invariance shows the loss as an area: schedules change its shape over t, not
// its size.
func invariance(Images) (Figure, error) {
	f := Figure{
		Title:   "The loss does not depend on the schedule",
		Caption: "w(λ)·(−dλ/dt)·E‖ε̂−ε‖² over t for the best denoiser of N(0, s²), with the weighting of flow matching and |λ| ≤ 10. The areas are the same: a schedule is a choice of importance sampling (MATHEMATICS.md, section 3).",
		X:       "time t", Y: "contribution to the loss",
	}
	weighting, err := process.GetWeighting("fm")
	if err != nil {
		return f, err
	}
	var list []process.Schedule
	for _, name := range []string{"fm", "cosine", "vp-linear", "vp-fm"} {
		s, err := process.GetSchedule(name, process.ScheduleOptions{MaxLogSNR: mostLambda - 0.5})
		if err != nil {
			return f, err
		}
		list = append(list, s)
	}
	stds := []float64{0.25, 0.5, 1, 2}
	f.Slider, f.Frames, err = family("s, deviation of the data", stds, 1, func(std float64) (Frame, error) {
		var frame Frame
		note := "areas over the λ that all of them reach:"
		low, high := math.Inf(-1), math.Inf(1)
		for _, s := range list {
			low, high = math.Max(low, s.LogSNR(1)), math.Min(high, s.LogSNR(0))
		}
		for _, s := range list {
			at := func(t float64) float64 {
				l := s.LogSNR(t)
				// Given z, x has variance s²/(1 + s² e^λ), and ε an error e^λ times that.
				signal := std * std * math.Exp(l)
				return weighting.Of(l, 1, 1) * -process.LogSNRRate(s, t) * signal / (1 + signal)
			}
			frame.Series = append(frame.Series, curve(s.Name(), Line, 0.001, 0.999, 400, at))
			note += fmt.Sprintf("  %s %.4f", s.Name(), area(at, s.TimeOf(high), s.TimeOf(low)))
		}
		frame.Note = note
		return frame, nil
	})
	return f, err
}

// area is Simpson's rule.
func area(f func(float64) float64, a, b float64) float64 {
	const n = 20000
	h := (b - a) / n
	sum := f(a+1e-12) + f(b-1e-12)
	for i := 1; i < n; i++ {
		sum += float64(2+2*(i%2)) * f(a+float64(i)*h)
	}
	return sum * h / 3
}

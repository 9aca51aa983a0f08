package figures

import (
	"context"
	"fmt"
	"math"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/trace"
)

// scaling runs samplers on the straight path times e^{kt}: DDIM and flow
// matching's Euler do not notice, Euler on the probability-flow ODE does.
func scaling(Images) (Figure, error) {
	const mean, variance, start = 0.5, 0.25, 1.2
	f := Figure{
		Title:   "Samplers and the scale of z",
		Caption: "The sample of N(0.5, 0.25) that grows out of one noise, on the straight path scaled by e^{kt}. DDIM is flow matching's Euler step, and both are blind to the scale; Euler on the probability-flow ODE in z and t is not (MATHEMATICS.md, section 4).",
		X:       "k, exponent of the scale e^{kt}", Y: "sample",
	}
	denoiser, err := trace.ParseDenoiser(fmt.Sprintf("gaussian:mean=%g,var=%g", mean, variance))
	if err != nil {
		return f, err
	}
	steps := []float64{2, 3, 4, 6, 8, 12, 16, 24, 32}
	f.Slider, f.Frames, err = family("steps", steps, 2, func(steps float64) (Frame, error) {
		var frame Frame
		for _, c := range []struct {
			sampler string
			kind    Kind
		}{{"ddim", Line}, {"euler", Dashed}, {"ode-euler", Line}} {
			line := Series{Name: c.sampler, Kind: c.kind}
			for k := -2.0; k <= 2; k += 0.25 {
				x, err := sampleOf(trace.Config{
					Schedule: "fm", Modifiers: process.ScheduleOptions{Scale: fmt.Sprintf("exp(%g*t)", k)}, Output: "u",
					Sampler: c.sampler, Options: sampler.Options{Steps: int(steps)},
				}, start, denoiser)
				if err != nil {
					return frame, err
				}
				line.X, line.Y = append(line.X, k), append(line.Y, x)
			}
			frame.Series = append(frame.Series, line)
		}
		frame.Series = append(frame.Series, curve("exact", Dashed, -2, 2, 2, func(float64) float64 { return mean + math.Sqrt(variance)*start }))
		return frame, nil
	})
	return f, err
}

// sampleOf runs a sampler on a denoiser from one number of unit noise.
func sampleOf(c trace.Config, noise float64, d trace.Denoiser) (float64, error) {
	setup, err := c.Resolve()
	if err != nil {
		return 0, err
	}
	r, err := setup.Run(context.Background(), []float64{setup.Grid.Points[0].Sigma * noise}, d, trace.SeededNoise(1))
	if err != nil {
		return 0, err
	}
	return r.States[len(r.States)-1][0], nil
}

// ddpmIsDDIM compares DDPM's coefficients with those of a DDIM step of twice the
// length in λ and forward diffusion back.
func ddpmIsDDIM(Images) (Figure, error) {
	f := Figure{
		Title:   "DDPM is DDIM with twice the step, then noise",
		Caption: "Coefficients of z_s = A z_t + B x̂ + C ξ at each step on the cosine. Lines: DDPM's posterior. Points: DDIM to λ + 2Δλ, and forward diffusion back to λ + Δλ (MATHEMATICS.md, section 5).",
		X:       "time t of the step", Y: "coefficient",
	}
	p, err := process.Get("cosine", process.ScheduleOptions{MaxLogSNR: 14}, "x")
	if err != nil {
		return f, err
	}
	ddpm, err := sampler.Get("ddpm")
	if err != nil {
		return f, err
	}
	f.Slider, f.Frames, err = family("steps", []float64{5, 10, 20, 40, 80}, 2, func(steps float64) (Frame, error) {
		table, err := ddpm.Plan(p, sampler.Options{Steps: int(steps)})
		if err != nil {
			return Frame{}, err
		}
		series := func(name string, kind Kind) Series { return Series{Name: name, Kind: kind} }
		exact := []Series{series("A", Line), series("B", Line), series("C", Line)}
		composed := []Series{series("A, of DDIM and noise", Points), series("B, of DDIM and noise", Points), series("C, of DDIM and noise", Points)}
		worst := 0.0
		for i, row := range table.Rows[:len(table.Rows)-1] { // the last step ends on the data, λ = ∞
			t, s := row.Call, table.Grid.Points[i+1]
			alpha, sigma := p.Schedule.Path().At(t.LogSNR + 2*(s.LogSNR-t.LogSNR))
			back := s.Alpha / alpha
			want := []float64{back * sigma / t.Sigma, s.Alpha - back*sigma*t.Alpha/t.Sigma, math.Sqrt(s.Sigma*s.Sigma - back*back*sigma*sigma)}
			for j, got := range []float64{row.A, row.B[0], row.C} {
				exact[j].X, exact[j].Y = append(exact[j].X, t.Time), append(exact[j].Y, got)
				composed[j].X, composed[j].Y = append(composed[j].X, t.Time), append(composed[j].Y, want[j])
				worst = math.Max(worst, math.Abs(got-want[j]))
			}
		}
		return Frame{Series: append(exact, composed...), Note: fmt.Sprintf("largest difference %.1e", worst)}, nil
	})
	return f, err
}

// churnWeights shows what the last state is made of.
func churnWeights(Images) (Figure, error) {
	f := Figure{
		Title:   "What a sample is made of, by churn",
		Caption: "Weights of the network's outputs v̂ and of fresh noise in the final sample, as if outputs did not depend on z. Churn 0 is DDIM, ½ is DDPM: the more churn, the more the sample rests on late outputs and the less on early ones (MATHEMATICS.md, section 6).",
		X:       "time t of the call", Y: "weight in the final sample",
	}
	p, err := process.Get("cosine", process.ScheduleOptions{MaxLogSNR: 14}, "v")
	if err != nil {
		return f, err
	}
	churn, err := sampler.Get("churn")
	if err != nil {
		return f, err
	}
	f.Slider, f.Frames, err = family("churn", []float64{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}, 5, func(c float64) (Frame, error) {
		table, err := churn.Plan(p, sampler.Options{Steps: 40, Churn: &c})
		if err != nil {
			return Frame{}, err
		}
		weights := table.Weights()
		outputs, noise := Series{Name: "outputs v̂", Kind: Line}, Series{Name: "noise ξ", Kind: Dashed}
		drawn := 0
		for i, row := range table.Rows {
			outputs.X, outputs.Y = append(outputs.X, row.Call.Time), append(outputs.Y, weights.Outputs[i])
			if row.C != 0 {
				noise.X, noise.Y = append(noise.X, row.Call.Time), append(noise.Y, weights.Noise[drawn])
				drawn++
			}
		}
		return Frame{Series: []Series{outputs, noise}, Note: fmt.Sprintf("the weight of the noise that sampling starts from is %.2g", weights.Start)}, nil
	})
	return f, err
}

package scheduler

import (
	"errors"
	"math"
)

// flowShift returns the map of σ on the flow path: σ → sσ/(1+(s−1)σ), which is
// λ − 2 ln s (Esser et al., 2024, equation 23), or by μ where the number of
// image tokens says how much.
func flowShift(p *planner, d dynamicShift, shift float64) (func(sigma float64) float64, error) {
	if !d.UseDynamicShifting {
		if !(shift > 0) {
			return nil, refuse("shift", shift, "a positive number")
		}
		return func(s float64) float64 { return shift * s / (1 + (shift-1)*s) }, nil
	}
	if p.mu() == nil {
		return nil, errors.New("use_dynamic_shifting = true: the shift depends on the image's size, want μ or the number of image tokens")
	}
	k := *p.Mu
	switch d.TimeShiftType {
	case "exponential":
		k = math.Exp(k)
	case "linear":
	default:
		return nil, refuse("time_shift_type", d.TimeShiftType, "exponential or linear")
	}
	return func(s float64) float64 { return k / (k + 1/s - 1) }, nil
}

// stretch moves the last σ to the terminal one, linearly in 1 − σ.
func stretch(sigmas []float64, terminal float64) {
	scale := (1 - sigmas[len(sigmas)-1]) / (1 - terminal)
	for i, s := range sigmas {
		sigmas[i] = 1 - (1-s)/scale
	}
}

// flowGrid is uniform in time from 1 to 1/N, shifted once. diffusers shifts the
// lower end when it is made, and everything again when the grid is.
func flowGrid(p *planner, train int, shifted bool, shift func(float64) float64) ([]float64, error) {
	if train < 1 {
		return nil, refuse("num_train_timesteps", train, "a positive number")
	}
	last := 1 / float64(train)
	if shifted && !p.correct(shiftedTwice) {
		last = shift(last)
	}
	sigmas := make([]float64, p.Steps)
	linspace(sigmas, 1, last)
	for i, s := range sigmas {
		sigmas[i] = shift(s)
	}
	return sigmas, nil
}

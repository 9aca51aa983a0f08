package scheduler

import (
	"math"
	"slices"
)

// edmKeys are those of Karras et al.'s own schedule.
type edmKeys struct {
	SigmaMin          float64 `json:"sigma_min"`
	SigmaMax          float64 `json:"sigma_max"`
	SigmaData         float64 `json:"sigma_data"`
	SigmaSchedule     string  `json:"sigma_schedule"`
	NumTrainTimesteps int     `json:"num_train_timesteps"`
	Rho               float64 `json:"rho"`
}

var edmDefaults = edmKeys{0.002, 80, 0.5, "karras", 1000, 7}

// points places the grid, and its end.
func (c edmKeys) points(p *planner, f finalSigma, prediction string) error {
	zero, err := f.zero()
	if err != nil {
		return err
	}
	if !(c.SigmaMin > 0 && c.SigmaMax > c.SigmaMin && c.SigmaData > 0 && c.Rho > 0) || math.IsInf(c.SigmaMax, 0) {
		return refuse("sigma_min, sigma_max, sigma_data, rho", []float64{c.SigmaMin, c.SigmaMax, c.SigmaData, c.Rho}, "positive numbers with sigma_min < sigma_max")
	}
	if !slices.Contains([]string{"epsilon", "v_prediction"}, prediction) {
		return refuse("prediction_type", prediction, "epsilon or v_prediction")
	}
	p.edm(prediction, c.SigmaData)
	p.clock = logClock(c.SigmaMin, c.SigmaMax)
	sigmas := make([]float64, p.Steps)
	switch c.SigmaSchedule {
	case "karras":
		karras(sigmas, c.SigmaMax, c.SigmaMin, c.Rho)
	case "exponential":
		if exponential(sigmas, c.SigmaMax, c.SigmaMin); p.Steps == 1 {
			sigmas[0] = c.SigmaMin // diffusers makes this grid from below
			if p.correct(lonelyTime) {
				sigmas[0] = c.SigmaMax
			}
		}
	default:
		return refuse("sigma_schedule", c.SigmaSchedule, "karras or exponential")
	}
	for _, s := range sigmas {
		p.vary(0.25*math.Log(s), s)
	}
	if zero {
		p.data()
	} else {
		p.vary(0.25*math.Log(c.SigmaMin), c.SigmaMin)
	}
	return nil
}

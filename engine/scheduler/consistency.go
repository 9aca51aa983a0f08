package scheduler

import (
	"fmt"
	"math"
)

// consistency is Song et al., "Consistency Models" (2023).
type consistency struct {
	NumTrainTimesteps int     `json:"num_train_timesteps"`
	SigmaMin          float64 `json:"sigma_min"`
	SigmaMax          float64 `json:"sigma_max"`
	SigmaData         float64 `json:"sigma_data"`
	SNoise            float64 `json:"s_noise"`
	Rho               float64 `json:"rho"`
	ClipDenoised      bool    `json:"clip_denoised"`
}

func newConsistency() Class { return &consistency{40, 0.002, 80, 0.5, 1, 7, true} }

func (c *consistency) plan(p *planner) error {
	if !(c.SigmaMin > 0 && c.SigmaMax > c.SigmaMin && c.SigmaData > 0 && c.Rho > 0) || math.IsInf(c.SigmaMax, 0) {
		return refuse("sigma_min, sigma_max, sigma_data, rho", []float64{c.SigmaMin, c.SigmaMax, c.SigmaData, c.Rho}, "positive numbers with sigma_min < sigma_max")
	}
	if p.Steps >= c.NumTrainTimesteps {
		return fmt.Errorf("%d steps, want fewer than num_train_timesteps = %d: at sigma_min the network's output is not used", p.Steps, c.NumTrainTimesteps)
	}
	if err := p.limit(clipping{c.ClipDenoised, 1}, noThreshold); err != nil {
		return err
	}
	p.clock = logClock(c.SigmaMin, c.SigmaMax)
	stride := c.NumTrainTimesteps / p.Steps
	a, b := math.Pow(c.SigmaMax, 1/c.Rho), math.Pow(c.SigmaMin, 1/c.Rho)
	for i := range p.Steps {
		u := float64(i*stride) / float64(c.NumTrainTimesteps-1)
		sigma := math.Pow(a+u*(b-a), c.Rho)
		p.boundary(1000*0.25*math.Log(sigma+1e-44), sigma, c.SigmaMin, c.SigmaData)
	}
	// Noise comes on top of σ_min, which the network's answer has.
	p.data()
	return p.run(method{name: "lcm", floor: c.SigmaMin, scale: c.SNoise})
}

package scheduler

import (
	"fmt"
	"math"
)

// consistencyKeys are those of networks that jump along the trajectory in few
// steps. steps_offset, set_alpha_to_one and timestep_spacing have no effect in
// diffusers: the times are those of the distillation, and the last step ends at
// what the network says.
type consistencyKeys struct {
	betas
	zeroSNR
	prediction
	clipping
	thresholding
	spacing
	SetAlphaToOne          bool    `json:"set_alpha_to_one"`
	OriginalInferenceSteps int     `json:"original_inference_steps"`
	TimestepScaling        float64 `json:"timestep_scaling"`
}

func consistencyDefaults() consistencyKeys {
	return consistencyKeys{latentBetas("scaled_linear"), zeroSNR{}, epsilon, clipping{false, 1}, noThreshold, spacing{"leading", 0}, true, 50, 10}
}

// times are a part of those that the network was distilled on.
func (c consistencyKeys) times(p *planner) ([]float64, error) {
	all := c.OriginalInferenceSteps
	if all < 1 || all > c.NumTrainTimesteps {
		return nil, refuse("original_inference_steps", all, fmt.Sprintf("1 to num_train_timesteps = %d", c.NumTrainTimesteps))
	}
	if p.Steps > all {
		return nil, fmt.Errorf("%d steps, want at most original_inference_steps = %d", p.Steps, all)
	}
	times := make([]float64, p.Steps)
	for i := range times {
		// numpy's floor of linspace without its end.
		skip := int(math.Floor(float64(i) * (float64(all) / float64(p.Steps))))
		times[i] = float64((all-skip)*(c.NumTrainTimesteps/all) - 1)
	}
	return times, nil
}

// lcm is Luo et al., "Latent Consistency Models" (2023).
type lcm struct{ consistencyKeys }

func newLCM() Class { return &lcm{consistencyDefaults()} }

func (c *lcm) plan(p *planner) error {
	if err := p.limit(c.clipping, c.thresholding); err != nil {
		return err
	}
	alphas, err := p.discrete(c.betas, c.RescaleBetasZeroSNR, c.PredictionType)
	if err != nil {
		return err
	}
	times, err := c.times(p)
	if err != nil {
		return err
	}
	for _, n := range times {
		p.preserving(n, alphas[int(n)])
	}
	p.data()
	const data = 0.5 // deviation of the data in the network's boundary condition
	return p.run(method{name: "consistency", boundary: func(k int) (x, z float64) {
		t := times[k] * c.TimestepScaling
		n := math.Hypot(t, data)
		return t / n, data * data / (n * n)
	}})
}

// tcd is Zheng et al., "Trajectory Consistency Distillation" (2024).
type tcd struct{ consistencyKeys }

func newTCD() Class { return &tcd{consistencyDefaults()} }

func (c *tcd) plan(p *planner) error {
	switch {
	case c.ClipSample:
		return refuse("clip_sample", true, "false: this class of diffusers has the key and never clips")
	case c.Thresholding:
		return refuse("thresholding", true, "false: this class of diffusers has the key and never clips")
	}
	alphas, err := p.discrete(c.betas, c.RescaleBetasZeroSNR, c.PredictionType)
	if err != nil {
		return err
	}
	times, err := c.times(p)
	if err != nil {
		return err
	}
	for _, n := range times {
		p.preserving(n, alphas[int(n)])
	}
	// The last step ends at time 0 and not at the data.
	p.preserving(0, alphas[0])
	return p.tcd(times, alphas, p.eta(0.3))
}

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
	if p.Steps >= c.NumTrainTimesteps {
		return fmt.Errorf("%d steps, want fewer than num_train_timesteps = %d: at sigma_min the network's output is not used", p.Steps, c.NumTrainTimesteps)
	}
	if err := p.limit(clipping{c.ClipDenoised, 1}, noThreshold); err != nil {
		return err
	}
	stride := c.NumTrainTimesteps / p.Steps
	a, b := math.Pow(c.SigmaMax, 1/c.Rho), math.Pow(c.SigmaMin, 1/c.Rho)
	for i := range p.Steps {
		u := float64(i*stride) / float64(c.NumTrainTimesteps-1)
		sigma := math.Pow(a+u*(b-a), c.Rho)
		p.boundary(1000*0.25*math.Log(sigma+1e-44), sigma, c.SigmaMin, c.SigmaData)
	}
	// Noise comes on top of σ_min, which the network's answer has.
	p.data()
	return p.run(method{name: "consistency", boundary: always(1, 0), floor: c.SigmaMin, scale: c.SNoise})
}

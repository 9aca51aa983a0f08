package scheduler

import (
	"fmt"
	"math"
)

// Jumps says that the class is for networks that jump along the trajectory, which are
// no velocity of it.
func (c Config) Jumps() bool {
	switch c.Class.(type) {
	case *lcm, *tcd, *consistency:
		return true
	}
	return false
}

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

package scheduler

import "fluxion/engine/sampler"

// flowHeun is Heun's method on the flow path.
type flowHeun struct {
	NumTrainTimesteps int     `json:"num_train_timesteps"`
	Shift             float64 `json:"shift"`
}

func newFlowHeun() Class { return &flowHeun{1000, 1} }

func (c *flowHeun) plan(p *planner) error {
	shift, err := flowShift(p, dynamicShift{}, c.Shift)
	if err != nil {
		return err
	}
	sigmas, err := flowGrid(p, c.NumTrainTimesteps, c.Shift != 1, shift)
	if err != nil {
		return err
	}
	if err := p.output("flow_prediction"); err != nil {
		return err
	}
	for _, s := range sigmas {
		p.flow(float64(c.NumTrainTimesteps)*s, s)
	}
	p.data()
	return p.run(method{name: "heun", options: sampler.Options{Variable: "u"}})
}

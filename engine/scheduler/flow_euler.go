package scheduler

import "errors"

// flowEuler is Euler's method on the flow path.
type flowEuler struct {
	dynamicShift
	sigmaKeys
	guestRange
	NumTrainTimesteps  int      `json:"num_train_timesteps"`
	Shift              float64  `json:"shift"`
	BaseShift          *float64 `json:"base_shift"`
	MaxShift           *float64 `json:"max_shift"`
	BaseImageSeqLen    *int     `json:"base_image_seq_len"`
	MaxImageSeqLen     *int     `json:"max_image_seq_len"`
	InvertSigmas       bool     `json:"invert_sigmas"`
	ShiftTerminal      *float64 `json:"shift_terminal"`
	StochasticSampling bool     `json:"stochastic_sampling"`
}

func newFlowEuler() Class {
	base, most, short, long := 0.5, 1.15, 256, 4096
	return &flowEuler{dynamicShift: dynamicShift{false, "exponential"}, NumTrainTimesteps: 1000, Shift: 1,
		BaseShift: &base, MaxShift: &most, BaseImageSeqLen: &short, MaxImageSeqLen: &long}
}

func (c *flowEuler) plan(p *planner) error {
	if p.Mu == nil && p.Tokens > 0 && c.UseDynamicShifting { // as Flux's pipeline does
		mu, err := c.mu(p.Tokens)
		if err != nil {
			return err
		}
		p.Mu = &mu
	}
	shift, err := flowShift(p, c.dynamicShift, c.Shift)
	if err != nil {
		return err
	}
	sigmas, err := flowGrid(p, c.NumTrainTimesteps, !c.UseDynamicShifting && c.Shift != 1, shift)
	if err != nil {
		return err
	}
	if c.ShiftTerminal != nil && *c.ShiftTerminal != 0 {
		if p.Steps == 1 {
			return refuse("shift_terminal", *c.ShiftTerminal, "null, or more than one step: its one σ is 1 and cannot be stretched")
		}
		stretch(sigmas, *c.ShiftTerminal)
	}
	grid, err := c.kind()
	if err != nil {
		return err
	}
	if grid != "" {
		if sigmas, err = c.own().grid(grid, sigmas[0], sigmas[p.Steps-1], p.Steps); err != nil {
			return err
		}
	}
	if err := p.output("flow_prediction"); err != nil {
		return err
	}
	n := float64(c.NumTrainTimesteps)
	for _, s := range sigmas {
		if c.InvertSigmas {
			p.flow(n*(1-s), s)
		} else {
			p.flow(n*s, s)
		}
	}
	if c.InvertSigmas { // time runs from noise to data, and the velocity with it
		if err := p.output(invertedFlow); err != nil {
			return err
		}
	}
	p.data()
	if c.StochasticSampling {
		return p.run(method{name: "lcm"})
	}
	return p.run(method{name: "euler"})
}

// mu is linear in the number of tokens, as in Flux's pipeline.
func (c *flowEuler) mu(tokens int) (float64, error) {
	if c.BaseShift == nil || c.MaxShift == nil || c.BaseImageSeqLen == nil || c.MaxImageSeqLen == nil || *c.MaxImageSeqLen == *c.BaseImageSeqLen {
		return 0, errors.New("base_shift, max_shift, base_image_seq_len and max_image_seq_len do not say how much to shift, want μ itself")
	}
	slope := (*c.MaxShift - *c.BaseShift) / float64(*c.MaxImageSeqLen-*c.BaseImageSeqLen)
	return *c.BaseShift + slope*float64(tokens-*c.BaseImageSeqLen), nil
}

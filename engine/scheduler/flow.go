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
	if p.Mu == nil && p.Tokens > 0 && c.UseDynamicShifting {
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
	p.output("flow_prediction")
	n := float64(c.NumTrainTimesteps)
	for _, s := range sigmas {
		if c.InvertSigmas {
			p.flow(n*(1-s), s)
		} else {
			p.flow(n*s, s)
		}
	}
	if c.InvertSigmas { // time runs from noise to data, and the velocity with it
		p.output("inverted_flow_prediction")
	}
	p.data()
	if c.StochasticSampling {
		return p.run(method{name: "consistency", boundary: always(1, 0)})
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
	p.output("flow_prediction")
	for _, s := range sigmas {
		p.flow(float64(c.NumTrainTimesteps)*s, s)
	}
	p.data()
	return p.run(method{name: "heun"})
}

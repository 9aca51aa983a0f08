package objective

import (
	"fluxion/engine/process"
	"fluxion/nets/pyjson"
)

// timesFile is where a checkpoint keeps what adaptive times have learnt.
const timesFile = "times.json"

// Observe lets the uncertainty of errors learn, or adaptive times; others have nothing to learn.
func (d *denoising) Observe(o Observation, err float64) {
	if d.Uncertainty != nil {
		d.Uncertainty.Observe(o.LogSNR, o.Weight*err)
	}
	if a := d.Times.Adaptive; a != nil {
		a.Observe(o.LogSNR, o.Weight*err)
	}
}

// State is that of the uncertainty, or of adaptive times. They begin anew where the run drew its times otherwise
// so far.
func (d *denoising) State() *State {
	if d.Uncertainty != nil {
		return d.Uncertainty.state()
	}
	a := d.Times.Adaptive
	if a == nil {
		return nil
	}
	return &State{File: timesFile, Store: a.MarshalState, Load: func(data []byte) (func() error, error) {
		var learnt process.Adaptive
		if err := pyjson.Decode(data, &learnt); err != nil {
			return nil, err
		}
		trial := *a
		return func() error { return a.Restore(learnt) }, trial.Restore(learnt)
	}}
}

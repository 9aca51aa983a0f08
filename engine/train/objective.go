package train

import (
	"fluxion/engine/process"
	"fluxion/kernels/philox"
)

// Objective is how a run makes training pairs and what their errors weigh.
type Objective struct {
	process.Objective
	Mean      float64 // of the loss's weights, which are divided by it
	Seed      uint64
	LabelDrop float64
	NullClass int // the class of an image without its label
}

// NewObjective returns the objective of a run; nullClass is the class of an
// image without its label.
func NewObjective(s Settings, nullClass int) (Objective, error) {
	o := Objective{Seed: s.Seed, LabelDrop: s.LabelDrop, NullClass: nullClass}
	p, err := process.Get(s.Schedule, process.ScheduleOptions{ZeroSNR: s.ZeroSNR, Shift: s.Shift, MaxLogSNR: s.ClipLambda, Scale: s.Scale}, s.Output)
	if err != nil {
		return o, &SettingError{"schedule, output_kind", err.Error()}
	}
	if o.Objective, err = process.NewObjective(p, s.TimeSampler, s.Weighting); err != nil {
		return o, &SettingError{"time_sampler, weighting", err.Error()}
	}
	if o.Mean, err = o.MeanLossWeight(); err != nil {
		return o, &SettingError{"time_sampler, weighting", err.Error()}
	}
	return o, nil
}

// time of the image at a position of the stream, in steps of so many images.
func (o Objective) time(at int64, step int) float64 {
	if o.Times.Spread == nil {
		return o.Times.Time(uniform(o.Seed, at))
	}
	seed := o.Seed
	return o.Times.Time(o.Times.Uniform(at, step, func(at int64) float64 { return uniform(seed, at) }))
}

// uniform is the number in (0, 1) of a position of the stream.
func uniform(seed uint64, at int64) float64 {
	return philox.Uniform64(seed, philox.Time, uint64(at), 0)
}

// weight of an image's loss.
func (o Objective) weight(t float64) float64 { return o.LossWeight(t) / o.Mean }

// observation is what adaptive times learn of an image: w(λ)‖ε̂−ε‖², mean over
// its values, at λ.
type observation struct{ lambda, weighted float64 }

// observation of an image at time t whose network errs by 1: the weight of
// ‖ŷ−y‖² in w(λ)‖ε̂−ε‖².
func (o Objective) observation(t float64) observation {
	lambda := o.Process.Schedule.LogSNR(t)
	return observation{lambda, o.LossWeight(t) * o.Density(lambda)}
}

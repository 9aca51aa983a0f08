package objective

import (
	"errors"
	"fmt"
	"math"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/kernels/loss"
	"fluxion/kernels/mix"
	"fluxion/kernels/philox"
	"fluxion/nets"

	"gorgonia.org/gorgonia"
)

// denoising is the loss of diffusion and flow matching: from z = αx + σε the network is
// to answer y = ax + bε, and its squared error is weighted.
type denoising struct {
	Setup
	mean    float64                // of the weights, which are divided by it
	uniform func(at int64) float64 // number in (0, 1) of a position of the stream
	drawn   func(at int64) process.Drawn
}

func newDenoising(s Setup, _ process.Parameters) (Objective, error) { return makeDenoising(s) }

func makeDenoising(s Setup) (d *denoising, err error) {
	d = &denoising{Setup: s, uniform: func(at int64) float64 { return philox.Uniform64(s.Seed, philox.Time, uint64(at), 0) }}
	d.drawn = func(at int64) process.Drawn { return d.Draw(d.time(at)) }
	if s.Uncertainty != nil && s.Times.Adaptive != nil {
		return nil, errors.New("adaptive times and a learnt uncertainty both even out the loss over noise levels; want one of them")
	}
	if s.distance.c != 0 && (s.Times.Adaptive != nil || s.Uncertainty != nil) {
		return nil, fmt.Errorf("loss %v: adaptive times and a learnt uncertainty learn from squares; want loss %s, or neither of them", s.distance, DefaultLoss)
	}
	d.mean, err = s.MeanLossWeight()
	return d, err
}

func (d *denoising) Process() process.Process { return d.Setup.Process }

func (d *denoising) About() [][2]string {
	about := d.distance.about([][2]string{{"objective", d.String()}, {"weighting", d.Summary()}})
	if d.Uncertainty != nil {
		about = append(about, [2]string{"uncertainty", "e^-u times that, u learnt of the noise level: weights come to be 1/error"})
	}
	return about
}

func (d *denoising) Fit(like nets.Spec) nets.Spec {
	like.Estimate, like.Jump, like.Variance, like.Guidance = false, false, false, d.Scales
	return like
}

// Few is the usual way to sample on a bridge: that of what the network tells.
func (d *denoising) Few(int64) *sampler.Few {
	few := &sampler.Few{Objective: kinds[0].Name, Any: true, Grid: "uniform", Sampler: "bridge", Steps: 50}
	switch p := d.Setup.Process; {
	case p.Bridge.None():
		return nil
	case p.At(0.5).Flows:
		few.Sampler = "ode-euler"
	}
	return few
}

func (d *denoising) Loss(b *Builder) Loss { return d.loss(b, additions{}) }

// additions are what other objectives add to denoising; nil: nothing.
type additions struct {
	given func(nets.Inputs) nets.Inputs                                   // completes the inputs of the network
	plus  func(r nets.Result, target, loss *gorgonia.Node) *gorgonia.Node // adds to the loss
	feed  func(i int, at int64, q process.Point)                          // sets the numbers of an image for these
}

func (d *denoising) loss(b *Builder, with additions) Loss {
	terms := []*gorgonia.Node{b.Data(), b.Noise()}
	bridged := !d.Setup.Process.Bridge.None()
	if bridged {
		terms = append(terms, b.Latent())
	}
	time, weight := b.Number("timestep"), b.Number("weight")
	sees, answers := b.Coefficients("coefficients of z", len(terms)), b.Coefficients("coefficients of the target", len(terms))
	in := nets.Inputs{Sample: b.Mix(mix.Options{}, sees, terms...), Time: time.Node, Class: b.Class()}
	target := b.Mix(mix.Options{}, answers, terms...)
	if with.given != nil {
		in = with.given(in)
	}
	result := b.apply(Trained, in)
	y := result.Output
	uncertain, expected := make([]float64, b.Batch), map[int64]process.Drawn{} // by position
	weighed := d.distance.loss(b, y, target, weight)
	if with.plus != nil {
		weighed.value = with.plus(result, target, weighed.value)
	}
	l := Loss{Value: weighed.value, Feed: func(i int, at int64) Observation {
		q, ok := expected[at]
		if delete(expected, at); !ok {
			q = d.drawn(at)
		}
		time.Set(i, q.NetworkTime)
		if bridged {
			sees.Set(i, q.Input*q.Alpha, q.Input*q.Sigma, q.Input*q.Gamma)
			answers.Set(i, q.A, q.B, q.C)
		} else {
			sees.Set(i, q.Input*q.Alpha, q.Input*q.Sigma)
			answers.Set(i, q.A, q.B)
		}
		o := Observation{LogSNR: q.LogSNR, Weight: q.Weight * q.Density}
		if u := d.Uncertainty; u != nil {
			uncertain[i], o.Weight = u.At(q.LogSNR), q.Weight/d.mean
		}
		weighed.set(i, math.Exp(-uncertain[i])*(q.Weight/d.mean), 1)
		if with.feed != nil {
			with.feed(i, at, q.Point)
		}
		return o
	}}
	if d.State() != nil {
		l.Errors = loss.Images(y, target)
	}
	if d.Uncertainty != nil && d.Times.Adaptive == nil {
		l.Expect = func(at int64) {
			q := d.drawn(at)
			expected[at] = q
			d.Uncertainty.level(q.LogSNR)
		}
	}
	if d.Uncertainty != nil {
		l.Plus = func() (mean float64) {
			for _, u := range uncertain {
				mean += u / float64(len(uncertain))
			}
			return mean
		}
	}
	return l
}

// time of the image at a position of the stream.
func (d *denoising) time(at int64) float64 {
	return d.Times.Time(d.Times.Uniform(at, d.Batch, d.uniform))
}

func (d *denoising) Baseline(mean, variance float64) (baseline, zero float64) {
	if d.Uncertainty != nil || d.distance.c != 0 || !d.Process().Source.Standard() {
		return 0, 0 // the loss is relative to what is learnt, or no square, or of other noise
	}
	return d.BaselineLoss(variance), d.ZeroLoss(mean*mean + variance)
}

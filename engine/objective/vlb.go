package objective

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"

	"fluxion/engine/process"
	"fluxion/kernels/loss"
	"fluxion/kernels/mix"
	"fluxion/nets"
	"fluxion/nets/pyjson"
)

// vlb is the variational bound alone, in bits per dimension, of which mean and variance are learnt:
// A. Nichol, P. Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (2021), section 3.3,
//
//	L_vlb = E_{n~p}[L_n/p_n],  p_n ∝ √E[L_n²]
//
// The last term of it, which no network changes, is left out.
type vlb struct {
	*hybrid
	steps *stepSampler
}

func newVLB(s Setup, p process.Parameters) (Objective, error) {
	history, share := p["history"], p["uniform"]
	switch {
	case history != math.Trunc(history) || history < 0 || history > mostHistory:
		return nil, fmt.Errorf("objective vlb: history is %g, want a whole number from 0, for uniform times, to %d", history, mostHistory)
	case !(share >= 0 && share < 1):
		return nil, fmt.Errorf("objective vlb: uniform is %g, want a share from 0 to less than 1", share)
	case s.Times.Adaptive != nil:
		return nil, errors.New("objective vlb: it draws its own times by its losses, as adaptive times do; leave out --time-sampler")
	}
	h, err := makeHybrid("vlb", s)
	if err != nil {
		return nil, err
	}
	v := &vlb{h, newStepSampler(h.chain.Steps, int(history), share, s.Batch)}
	return v, nil
}

// stepAt is the step of the image at a position of the stream.
func (v *vlb) stepAt(at int64) int { return v.steps.step(v.Times.Uniform(at, v.Batch, v.uniform)) }

func (v *vlb) About() [][2]string {
	times := "uniform"
	if h := v.steps.history; h > 0 {
		times = fmt.Sprintf("drawn by the root of the mean square of the last %d terms of each, and uniform until there are as many of all", h)
	}
	return [][2]string{
		{"objective", fmt.Sprintf("%v, variational bound of %d steps in bits per dimension", v.Setup.Process, v.chain.Steps)},
		{"times", times},
		{"weighting", "that of the bound"},
		{"variance", "learnt of each value, between the logarithms of the least and the largest of each step"},
	}
}

func (v *vlb) Loss(b *Builder) Loss {
	time, numbers := b.Number("timestep"), b.Coefficients("numbers of the bound", loss.Columns)
	sees, answers := b.Coefficients("coefficients of z", 2), b.Coefficients("coefficients of the target", 2)
	in := nets.Inputs{Sample: b.Mix(mix.Options{}, sees, b.Data(), b.Noise()), Time: time.Node, Class: b.Class()}
	target := b.Mix(mix.Options{}, answers, b.Data(), b.Noise())
	r := b.apply(Trained, in)
	l := Loss{Value: loss.Bound(r.Output, r.Variance, target, b.Data(), numbers.Node), Feed: func(i int, at int64) Observation {
		n := v.stepAt(at)
		q := v.chain.At(v.chain.Time(n))
		time.Set(i, q.NetworkTime)
		sees.Set(i, q.Input*q.Alpha, q.Input*q.Sigma)
		answers.Set(i, q.A, q.B)
		numbers.Set(i, v.numbers(n, q, 1/v.steps.share(n))...)
		return Observation{LogSNR: q.LogSNR, Step: n}
	}}
	if v.steps.history > 0 {
		l.Errors = loss.Terms(r.Output, r.Variance, target, b.Data(), numbers.Node)
	}
	return l
}

// Observe keeps the term of an image.
func (v *vlb) Observe(o Observation, err float64) { v.steps.observe(o.Step, err) }

// State is that of the terms; nil: times are uniform.
func (v *vlb) State() *State {
	if v.steps.history == 0 {
		return nil
	}
	return v.steps.state()
}

const (
	termsFile   = "terms.json" // where a checkpoint keeps the last terms of each step
	mostHistory = 1000
	mostTerm    = 1e100 // whose square is a number
)

// stepSampler draws steps of a chain by their last terms of the bound. It is
// LossSecondMomentResampler of the paper's code, whose history is 10 and uniform 0.001.
type stepSampler struct {
	Terms [][]float64 `json:"terms"` // of each step, the oldest first

	history int     // terms of a step that count
	uniform float64 // share of images whose step is any
	below   []float64
	full    int // steps with a whole history
	seen    int // images of the training step
	batch   int
}

func newStepSampler(steps, history int, uniform float64, batch int) *stepSampler {
	s := &stepSampler{Terms: make([][]float64, steps), history: history, uniform: uniform, batch: batch, below: make([]float64, steps+1)}
	for n := range s.Terms {
		s.Terms[n] = make([]float64, 0, history)
	}
	s.weigh()
	return s
}

// weigh makes the sums of the shares of all steps before each.
func (s *stepSampler) weigh() {
	steps, sum := float64(len(s.Terms)), 0.0
	roots := make([]float64, len(s.Terms))
	if s.history > 0 && s.full == len(s.Terms) {
		for n, terms := range s.Terms {
			square := 0.0
			for _, l := range terms {
				square += float64(l * l)
			}
			roots[n] = math.Sqrt(square / float64(len(terms)))
			sum += roots[n]
		}
	}
	for n, r := range roots {
		share := 1 / steps
		if sum > 0 {
			share = float64((1-s.uniform)*(r/sum)) + s.uniform/steps
		}
		s.below[n+1] = s.below[n] + share
	}
}

// step is that of a uniform number.
func (s *stepSampler) step(u float64) int {
	u *= s.below[len(s.Terms)]
	n := sort.Search(len(s.Terms), func(n int) bool { return s.below[n+1] > u })
	return min(n, len(s.Terms)-1)
}

// share is the probability of a step.
func (s *stepSampler) share(n int) float64 {
	return (s.below[n+1] - s.below[n]) / s.below[len(s.Terms)]
}

// observe adds a term of a step. One that is not finite, or without measure, is left out. Shares change with whole
// training steps.
func (s *stepSampler) observe(n int, term float64) {
	if of := s.Terms[n]; math.Abs(term) <= mostTerm {
		if len(of) == s.history {
			copy(of, of[1:])
			of = of[:len(of)-1]
		} else if len(of) == s.history-1 {
			s.full++
		}
		s.Terms[n] = append(of, term)
	}
	if s.seen++; s.seen >= s.batch {
		s.seen = 0
		s.weigh()
	}
}

func (s *stepSampler) state() *State {
	return &State{
		File:  termsFile,
		Store: func() ([]byte, error) { return json.Marshal(s) },
		Load: func(data []byte) (func() error, error) {
			var learnt stepSampler
			if err := pyjson.Decode(data, &learnt); err != nil {
				return nil, err
			}
			if len(learnt.Terms) != len(s.Terms) {
				return nil, fmt.Errorf("terms of %d steps, want %d", len(learnt.Terms), len(s.Terms))
			}
			for n, terms := range learnt.Terms {
				if len(terms) > s.history {
					return nil, fmt.Errorf("%d terms of step %d, want at most %d", len(terms), n, s.history)
				}
				for _, l := range terms {
					if !(math.Abs(l) <= mostTerm) {
						return nil, fmt.Errorf("term %v of step %d, want at most %g", l, n, mostTerm)
					}
				}
			}
			return func() error {
				s.full, s.seen = 0, 0
				for n, terms := range learnt.Terms {
					s.Terms[n] = append(s.Terms[n][:0], terms...)
					if len(terms) == s.history {
						s.full++
					}
				}
				s.weigh()
				return nil
			}, nil
		},
	}
}

// Package process is the mathematics of diffusion and Gaussian flow matching, which are the
// same family of models. Comments cite MATHEMATICS.md beside this file, which follows Gao
// et al., "Diffusion Meets Flow Matching: Two Sides of the Same Coin" (2024,
// diffusionflow.github.io). All functions are pure and compute in float64.
//
// Time t runs from 0 (data) to 1 (noise), z = αx + σε, λ = ln(α²/σ²).
package process

import (
	"fmt"
	"math"
)

// Process is a schedule, what lies at its noise end, and what the network predicts along it.
type Process struct {
	Schedule Schedule
	Output   Output
	Source   Source // of the noise
	Bridge   Bridge // a third noise on the way

	// trained is what the network knows, where it is sampled along another schedule.
	trained *Process
}

// Get returns the process of a schedule and an output by name.
func Get(schedule string, o ScheduleOptions, output string) (Process, error) {
	s, err := GetSchedule(schedule, o)
	if err != nil {
		return Process{}, err
	}
	y, err := GetOutput(output)
	if err != nil {
		return Process{}, err
	}
	return New(s, y)
}

// New returns a process, unless the output makes no sense on the schedule.
func New(s Schedule, o Output) (Process, error) {
	if o.Fits != nil {
		if err := o.Fits(s); err != nil {
			return Process{}, err
		}
	}
	if _, m := Unmodified(s); m.TimeScale != 0 && o.NetworkTime != nil {
		return Process{}, fmt.Errorf("time scale %d: the network of output %s is told ln(σ/α)/4 in the place of a time; want 1000", m.TimeScale, o.Name)
	}
	return Process{Schedule: s, Output: o}, nil
}

func (p Process) String() string {
	text := p.Schedule.Name() + "/" + p.Output.Name
	if s := p.Source.String(); s != Gaussian {
		text += " from " + s
	}
	if !p.Bridge.None() {
		text += " by bridge " + p.Bridge.String()
	}
	return text
}

// Point is the process at one time: z = Alpha x + Sigma ε + Gamma ξ, y = A x + B ε + C ξ.
// Gamma and C are 0 without a Bridge.
type Point struct {
	Time           float64
	NetworkTime    float64 // what the network is told
	Alpha, Sigma   float64
	LogSNR         float64
	DAlpha, DSigma float64 // dα/dt, dσ/dt
	A, B           float64
	Input          float64 // the network sees Input·z
	Gamma, DGamma  float64
	C              float64
	Flows          bool // on a bridge, y is the velocity of z, up to the clock
}

// At returns the process at time t. These are also the coefficients of a
// training pair: the network's input Input·z, its time input and its target y.
func (p Process) At(t float64) Point {
	q := Point{Time: t, NetworkTime: p.Schedule.NetworkTime(t), LogSNR: p.Schedule.LogSNR(t)}
	q.Alpha, q.Sigma = p.Schedule.AlphaSigma(t)
	q.DAlpha, q.DSigma = p.Schedule.Velocity(t)
	return p.Complete(q)
}

// AtLogSNR returns the process at a log-SNR. Beyond the schedule's ends it goes
// on along the path, at the time of the end.
func (p Process) AtLogSNR(lambda float64) Point {
	s := p.Schedule
	if lambda >= s.LogSNR(1) && lambda <= s.LogSNR(0) {
		return p.At(s.TimeOf(lambda))
	}
	t := s.TimeOf(lambda)
	q := Point{Time: t, NetworkTime: s.NetworkTime(t), LogSNR: lambda}
	q.Alpha, q.Sigma = s.Path().At(lambda)
	rate := LogSNRRate(s, t)
	q.DAlpha, q.DSigma = s.Path().Tangent(q.Alpha, q.Sigma)
	q.DAlpha, q.DSigma = q.DAlpha*rate, q.DSigma*rate
	return p.Complete(q)
}

// Complete fills in what the output says at a point whose times, α, σ, λ and
// rates are known: for grids that are given otherwise than by t.
func (p Process) Complete(q Point) Point {
	q.A, q.B = p.Output.Row(q)
	if !p.Bridge.None() {
		p.third(&q)
	}
	q.Input = 1
	if p.Output.Input != nil {
		q.Input = p.Output.Input(q)
	}
	if p.Output.NetworkTime != nil {
		q.NetworkTime = p.Output.NetworkTime(q)
	}
	return q
}

// End returns where sampling ends: z = αx without noise, for which no network
// is called. It is the schedule's t = 0 if there is no noise there; otherwise x
// itself. Its row is that of t = 0, for inversion, which begins there.
func (p Process) End() Point {
	q := p.At(0)
	if q.Sigma != 0 {
		q = p.Complete(Point{NetworkTime: q.NetworkTime, Alpha: dataScale(p.Schedule), LogSNR: math.Inf(1), DAlpha: q.DAlpha, DSigma: q.DSigma})
	}
	q.LogSNR = math.Inf(1)
	return q
}

// dataScale is what x is multiplied by at t = 0, were there no noise.
func dataScale(s Schedule) float64 {
	scale := 1.0
	for {
		m, ok := s.(Modified)
		if !ok {
			return scale
		}
		if k, ok := m.(scaled); ok {
			scale *= k.at(0)
		}
		s, _ = m.Base()
	}
}

// Under returns the process, without a bridge, of p's network when it is sampled along another
// schedule (MATHEMATICS.md, section 2: only a scaling of z and the time change). At each point
// the network sees z in the units of its own schedule at the same λ, and is
// told the time at which it has that λ.
func (p Process) Under(s Schedule) Process {
	own := p
	if p.trained != nil {
		own = *p.trained
	}
	at := func(q Point) Point {
		o := own.At(own.Schedule.TimeOf(q.LogSNR)) // its ends, where q lies beyond them
		o.Input *= math.Hypot(o.Alpha, o.Sigma) / math.Hypot(q.Alpha, q.Sigma)
		return o
	}
	return Process{
		Schedule: s, Source: p.Source, trained: &own,
		Output: Output{
			Name: p.Output.Name, About: p.Output.About,
			Row:         func(q Point) (float64, float64) { o := at(q); return o.A, o.B },
			Input:       func(q Point) float64 { return at(q).Input },
			NetworkTime: func(q Point) float64 { return at(q).NetworkTime },
		},
	}
}

// startLogSNR is where sampling starts when it cannot start at t = 1. An error
// of the network is multiplied by e^{−λ/2} in x̂; at −13 that is 665, and it is
// where DDPM's thousandth step stands (t = 0.999 on the cosine). What is lost
// is α/σ = 0.0015 of the data's mean. The sampler's arithmetic would bear
// λ = −20, a float32 network (×22 000) would not.
const startLogSNR = -13

// Start returns the time at which sampling starts: 1, unless the output does
// not determine x there or amplifies errors more than at λ = −13, the network
// cannot be told the time (EDM's is ln(σ/α)/4), or its own schedule begins later.
func (p Process) Start() float64 {
	if !p.Bridge.None() || !p.Source.Gaussian() {
		return 1 // where z is the source itself
	}
	first := math.Inf(-1)
	if p.trained != nil {
		first = p.trained.Schedule.LogSNR(1)
	}
	q := p.At(1)
	if x, err := q.X(); err != nil || math.IsInf(q.NetworkTime, 0) || math.Abs(x.Y)*math.Hypot(q.A, q.B) > math.Exp(-startLogSNR/2.) {
		first = math.Max(first, startLogSNR)
	}
	if p.Schedule.LogSNR(1) >= first {
		return 1
	}
	return p.Schedule.TimeOf(first)
}

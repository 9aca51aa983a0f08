package process

import (
	"fmt"
	"math"
	"strings"
)

// Objective is a training configuration: what the network predicts along which
// schedule, the times that are drawn, and how errors are weighted.
type Objective struct {
	Process   Process
	Times     TimeSampler
	Weighting Weighting
}

// NewObjective returns the objective of these names.
func NewObjective(p Process, times, weighting string) (Objective, error) {
	t, err := GetTimeSampler(times, p.Schedule)
	if err != nil {
		return Objective{}, err
	}
	w, err := GetWeighting(weighting)
	if err == nil && t.Adaptive != nil && w.OfTimes() {
		// What is drawn more would weigh more and be drawn more still.
		err = fmt.Errorf("time sampler %s learns from a weighting of λ alone, and %s is a factor at the times drawn; want one such as elbo, fm, sigmoid or edm", times, weighting)
	}
	if err == nil && !p.Source.Gaussian() && w.Name != plainWeighting {
		err = fmt.Errorf("weighting %s on source %v: it is a function of a log-SNR, which means a likelihood for Gaussian noise alone; want %s, and --time-sampler says which times count", weighting, p.Source, plainWeighting)
	}
	if !p.Bridge.None() {
		if err == nil && w.Name != plainWeighting {
			err = fmt.Errorf("weighting %s on bridge %v: it is a function of a log-SNR of two noises; want %s, and --time-sampler says which times count", weighting, p.Bridge, plainWeighting)
		}
	}
	return Objective{p, p.Times(t), w}, err
}

func (o Objective) String() string {
	return fmt.Sprintf("%v, times %s, weighting %s", o.Process, o.Times.Name, o.Weighting.Name)
}

// Density of λ, of the times drawn.
func (o Objective) Density(lambda float64) float64 {
	t := o.Process.Schedule.TimeOf(lambda)
	return o.Times.Density(t) / math.Abs(LogSNRRate(o.Process.Schedule, t))
}

// Factor is ‖ŷ−y‖²/‖ε̂−ε‖² = (b − aσ/α)² at a point (MATHEMATICS.md, section 2).
func (q Point) Factor() float64 {
	f := q.B - q.A*q.Sigma/q.Alpha
	return f * f
}

// Effective returns w(λ), the weighting of the objective ∫ w(λ) E‖ε̂−ε‖² dλ
// that this configuration minimises, up to a constant.
func (o Objective) Effective(lambda float64) float64 {
	q := o.Process.At(o.Process.Schedule.TimeOf(lambda))
	return o.Weighting.Of(lambda, o.Density(lambda), q.Factor())
}

// Drawn is the process at a time that training draws.
type Drawn struct {
	Point
	Density float64 // of λ, of the times drawn
	// Weight is the factor on the network's own mean squared error,
	// w(λ)/(p(λ)(b − aσ/α)²). Where the time is never drawn it is 0.
	Weight float64
}

// Draw returns the process at a time, with what an error there weighs.
func (o Objective) Draw(t float64) Drawn {
	d := Drawn{Point: o.Process.At(t)}
	d.Density = o.Times.Density(t) / math.Abs(d.LogSNRRate())
	factor := d.Factor()
	if w := o.Weighting.Of(d.LogSNR, d.Density, factor) / (d.Density * factor); !math.IsNaN(w) && !math.IsInf(w, 0) {
		d.Weight = w
	}
	return d
}

// weightSamples is how many quantiles of the times MeanLossWeight looks at.
const weightSamples = 4096

// MeanLossWeight is the mean of Drawn.Weight over the times drawn. Divided by it,
// weights have mean 1, and a learning rate or a largest norm of gradients means
// the same under every weighting, which is given up to a constant only. Where
// the mean has no limit, it is that of equally spaced quantiles.
func (o Objective) MeanLossWeight() (float64, error) {
	sum := 0.0
	for i := range weightSamples {
		sum += o.Draw(o.Times.Time((float64(i) + 0.5) / weightSamples)).Weight
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		return 0, fmt.Errorf("weighting %s is %g at all times that sampler %s draws on schedule %s; want times where it is positive, such as uniform-lambda",
			o.Weighting.Name, sum/weightSamples, o.Times.Name, o.Process.Schedule.Name())
	}
	return sum / weightSamples, nil
}

// Summary is the effective weighting at some λ, relative to its largest value
// there, on one line.
func (o Objective) Summary() string {
	var lambdas, values []float64
	largest := 0.0
	for l := -10.0; l <= 10; l += 4 {
		w := o.Effective(l)
		lambdas, values = append(lambdas, l), append(values, w)
		if !math.IsInf(w, 0) && w > largest {
			largest = w
		}
	}
	var b strings.Builder
	b.WriteString("w(λ) ∝")
	for i, l := range lambdas {
		fmt.Fprintf(&b, "  %.2g at %g", values[i]/largest, l)
	}
	return b.String()
}

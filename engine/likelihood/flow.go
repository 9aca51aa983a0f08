package likelihood

import (
	"fmt"
	"math"

	"fluxion/engine/process"
)

// Path is a process on the linear path, from where the data are to where the noise is.
type Path struct {
	process.Process // under the linear path
	Data, Noise     process.Point
}

// NewPath puts a process on the linear path. It goes as far as the process knows: from
// t = 0, or the least noise that its network was told of; where the output says nothing
// of the velocity there, as x without noise, from λ = LambdaMax; to t = 1, or where
// sampling starts.
func NewPath(p process.Process) (Path, error) {
	if !p.Source.White() || !p.Bridge.None() {
		return Path{}, fmt.Errorf("%v: likelihoods are computed for white normal noise alone", p)
	}
	linear, err := process.GetSchedule("fm", process.ScheduleOptions{})
	if err != nil {
		return Path{}, err
	}
	l := Path{Process: p.Under(linear)}
	most := clearest(p.Schedule)
	if l.Data = l.At(linear.TimeOf(most)); !determined(l.Data) {
		l.Data = l.At(linear.TimeOf(math.Min(LambdaMax, most)))
	}
	l.Noise = l.At(l.Start())
	for _, q := range []process.Point{l.Data, l.Noise} {
		if !determined(q) {
			_, err := velocity(q)
			return l, fmt.Errorf("%v has no probability flow at λ = %.4g: %w", p, q.LogSNR, err)
		}
	}
	if !(l.Data.Time < l.Noise.Time) {
		return l, fmt.Errorf("%v has no noise levels between λ = %.4g and %.4g", p, l.Noise.LogSNR, l.Data.LogSNR)
	}
	return l, nil
}

// clearest is the log-SNR of the least noise that a network was told of: step 0 of a
// schedule of steps, behind which there is clean data at t = 0; else the schedule's end.
func clearest(s process.Schedule) float64 {
	first, last := 0.0, 1.0
	if base, _ := process.Unmodified(s); !process.InSteps(base) || s.NetworkTime(first) >= 0 {
		return s.LogSNR(first)
	}
	for range 60 {
		if t := (first + last) / 2; s.NetworkTime(t) < 0 {
			first = t
		} else {
			last = t
		}
	}
	return s.LogSNR(last)
}

// velocity is ε̂ − x̂ of z and the network's output.
func velocity(q process.Point) (process.Linear, error) { return q.To(-1, 1) }

func determined(q process.Point) bool {
	l, err := velocity(q)
	ok := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	return err == nil && ok(l.Z) && ok(l.Y) && ok(q.A) && ok(q.B) && ok(q.NetworkTime) && ok(q.Input)
}

// LogDensity is ln p(x) of a flow: x moves from data to noise, where it has a Gaussian's
// density, and the change of volume on the way is the integral of the divergence (Chen et
// al., "Neural Ordinary Differential Equations" 2018; Song et al., "Score-Based
// Generative Modeling through SDEs" 2021, section 4.3). A path that begins with noise
// has made x where sampling ends there: z/α. x is where it came to, z, at the end.
func (p Path) LogDensity(f Field, x []float64, s Solver, o Steps) (log float64, calls int, err error) {
	alpha := p.Data.Alpha
	for i := range x {
		x[i] *= alpha
	}
	change, calls, err := s.Integrate(f, x, p.Data.Time, p.Noise.Time, o)
	n := float64(len(x))
	return Prior(p.Noise, x) + change + n*math.Log(alpha), calls, err
}

// Prior is the log-density of z among pure noise: that of N(0, α²+σ²), which is what
// data of variance 1 have.
func Prior(q process.Point, z []float64) float64 {
	scale, sum := math.Hypot(q.Alpha, q.Sigma), 0.0
	for _, v := range z {
		v /= scale
		sum += v * v
	}
	return -sum/2 - float64(len(z))*(math.Log(2*math.Pi)/2+math.Log(scale))
}

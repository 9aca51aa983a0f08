package process

import (
	"errors"
	"fmt"
	"math"

	"fluxion/engine/formula"
)

// ScheduleOptions modify a schedule, in the order of the fields; zero values
// change nothing.
type ScheduleOptions struct {
	ZeroSNR   bool    // no data is left at t = 1: Lin et al., "Common Diffusion Noise Schedules…" (2024)
	Shift     float64 // for resolutions: λ → λ + 2 ln shift. diffusers' flow shift is its inverse, λ − 2 ln shift
	MaxLogSNR float64 // |λ| stays below it
	Scale     string  // a positive formula of t that multiplies α and σ
	TimeScale int     // what the network of a continuous schedule is told at t = 1, in the place of 1000
}

// Modify returns a schedule with the options applied.
func Modify(s Schedule, o ScheduleOptions) (Schedule, error) {
	for _, m := range []struct {
		wanted bool
		apply  func() (Schedule, error)
	}{
		{o.ZeroSNR, func() (Schedule, error) { return ZeroSNR(s) }},
		{o.Shift != 0 && o.Shift != 1, func() (Schedule, error) { return Shift(s, o.Shift) }},
		{o.MaxLogSNR != 0, func() (Schedule, error) { return Clip(s, o.MaxLogSNR) }},
		{o.Scale != "", func() (Schedule, error) { return ScaleBy(s, o.Scale) }},
		{o.TimeScale != 0 && o.TimeScale != virtualSteps, func() (Schedule, error) { return TellTime(s, o.TimeScale) }},
	} {
		if !m.wanted {
			continue
		}
		var err error
		if s, err = m.apply(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Modified is a schedule made of another one.
type Modified interface {
	Schedule
	// Base is the schedule that was modified, and the one option that did it.
	Base() (Schedule, ScheduleOptions)
}

// Unmodified returns the schedule below all modifications, and these.
func Unmodified(s Schedule) (Schedule, ScheduleOptions) {
	var all ScheduleOptions
	for {
		m, ok := s.(Modified)
		if !ok {
			return s, all
		}
		base, o := m.Base()
		all.ZeroSNR = all.ZeroSNR || o.ZeroSNR
		all.Shift += o.Shift
		all.MaxLogSNR += o.MaxLogSNR
		all.Scale += o.Scale
		all.TimeScale += o.TimeScale
		s = base
	}
}

// clipped runs along the part of a schedule with |λ| ≤ λmax, its time stretched
// linearly; for the cosine this is the angle's remapping (MATHEMATICS.md, section 1).
type clipped struct {
	Schedule
	first, last float64 // times of the base schedule
	limit       float64
}

// Clip keeps |λ| at or below a limit.
func Clip(s Schedule, limit float64) (Schedule, error) {
	if !(limit > 0) || math.IsInf(limit, 0) {
		return nil, fmt.Errorf("λ limit %g, want a positive number, or 0 for none", limit)
	}
	c := clipped{s, s.TimeOf(limit), s.TimeOf(-limit), limit}
	if !(c.first < c.last) {
		return nil, fmt.Errorf("λ limit %g leaves nothing of λ from %.3g to %.3g", limit, s.LogSNR(1), s.LogSNR(0))
	}
	return c, nil
}

func (c clipped) Base() (Schedule, ScheduleOptions) {
	return c.Schedule, ScheduleOptions{MaxLogSNR: c.limit}
}
func (c clipped) time(t float64) float64                  { return c.first + (c.last-c.first)*t }
func (c clipped) AlphaSigma(t float64) (float64, float64) { return c.Schedule.AlphaSigma(c.time(t)) }
func (c clipped) LogSNR(t float64) float64                { return c.Schedule.LogSNR(c.time(t)) }
func (c clipped) NetworkTime(t float64) float64           { return c.Schedule.NetworkTime(c.time(t)) }
func (c clipped) Velocity(t float64) (dAlpha, dSigma float64) {
	a, b := c.Schedule.Velocity(c.time(t))
	return a * (c.last - c.first), b * (c.last - c.first)
}
func (c clipped) TimeOf(lambda float64) float64 {
	return clampTime((c.Schedule.TimeOf(lambda) - c.first) / (c.last - c.first))
}

// shifted has λ + 2 ln shift at each time, on the same path: Hoogeboom et al.,
// "simple diffusion" (2023), equation 2. The network is told the noise level,
// as the time at which the schedule below has it.
type shifted struct {
	Schedule
	shift, add float64
}

// Shift adds 2 ln shift to λ; above 1 there is less noise, below 1 more.
func Shift(s Schedule, shift float64) (Schedule, error) {
	if !(shift > 0) || math.IsInf(shift, 0) {
		return nil, fmt.Errorf("shift %g, want a positive number", shift)
	}
	return shifted{s, shift, 2 * math.Log(shift)}, nil
}

func (s shifted) Base() (Schedule, ScheduleOptions) {
	return s.Schedule, ScheduleOptions{Shift: s.shift}
}
func (s shifted) LogSNR(t float64) float64      { return s.Schedule.LogSNR(t) + s.add }
func (s shifted) TimeOf(lambda float64) float64 { return s.Schedule.TimeOf(lambda - s.add) }
func (s shifted) NetworkTime(t float64) float64 {
	return s.Schedule.NetworkTime(s.Schedule.TimeOf(s.LogSNR(t)))
}
func (s shifted) AlphaSigma(t float64) (alpha, sigma float64) {
	if l := s.LogSNR(t); !math.IsNaN(l) {
		return s.Path().At(l)
	}
	return s.Schedule.AlphaSigma(t)
}

func (s shifted) Velocity(t float64) (dAlpha, dSigma float64) {
	// dα/dt = (dα/dλ)(dλ/dt), and dλ/dt is that of the schedule below. At the
	// ends this is 0·∞; the limit is taken beside them.
	t = math.Min(math.Max(t, 1e-9), 1-1e-9)
	alpha, sigma := s.AlphaSigma(t)
	rate := LogSNRRate(s.Schedule, t)
	a, b := s.Path().Tangent(alpha, sigma)
	return a * rate, b * rate
}

// zeroed moves and scales α so that it ends at 0: α' = (α−α₁)·α₀/(α₀−α₁).
type zeroed struct {
	Schedule
	last float64 // α at t = 1
}

// ZeroSNR leaves no data at t = 1. A schedule that has none there is returned
// as it is. For a discrete schedule α₀ is that of its first step, as in the paper.
func ZeroSNR(s Schedule) (Schedule, error) {
	last, _ := s.AlphaSigma(1)
	if last == 0 {
		return s, nil
	}
	if s.Path().Name != VPPath.Name {
		return nil, errors.New("cannot end at zero SNR; want a variance-preserving schedule, such as vp-linear or ddpm-linear")
	}
	d, ok := s.(*discrete)
	if !ok {
		return zeroed{s, last}, nil
	}
	first := math.Exp(d.logs[1])
	logs := make([]float64, len(d.logs))
	for i, l := range d.logs[1:] {
		logs[i+1] = math.Log((math.Exp(l) - last) * first / (first - last))
	}
	logs[len(logs)-1] = math.Inf(-1)
	return zeroedDiscrete{&discrete{d.name, logs}, d}, nil
}

type zeroedDiscrete struct {
	*discrete
	base *discrete
}

func (z zeroedDiscrete) Base() (Schedule, ScheduleOptions) {
	return z.base, ScheduleOptions{ZeroSNR: true}
}

func (z zeroed) Base() (Schedule, ScheduleOptions) {
	return z.Schedule, ScheduleOptions{ZeroSNR: true}
}

func (z zeroed) AlphaSigma(t float64) (alpha, sigma float64) {
	a, b := z.Schedule.AlphaSigma(t)
	if a == z.last {
		return 0, 1
	}
	alpha = (a - z.last) / (1 - z.last)
	// 1 − α' = (1−α)/(1−α₁) and 1 − α = σ²/(1+α), without cancellation.
	return alpha, math.Sqrt(b * b / ((1 + a) * (1 - z.last)) * (1 + alpha))
}

func (z zeroed) Velocity(t float64) (dAlpha, dSigma float64) {
	d, _ := z.Schedule.Velocity(t)
	alpha, sigma := z.AlphaSigma(t)
	dAlpha = d / (1 - z.last)
	return dAlpha, -alpha * dAlpha / sigma
}

func (z zeroed) LogSNR(t float64) float64 {
	alpha, sigma := z.AlphaSigma(t)
	return 2 * (math.Log(alpha) - math.Log(sigma))
}

func (z zeroed) TimeOf(lambda float64) float64 {
	alpha, sigma := VPPath.At(lambda)
	// α of the schedule below, and its λ, again without cancellation in 1 − α.
	less := sigma * sigma / (1 + alpha) * (1 - z.last)
	a := 1 - less
	return z.Schedule.TimeOf(math.Log(a*a) - math.Log(less*(1+a)))
}

// scaled multiplies α and σ by s(t) > 0. λ stays, and with it the process up
// to a change of units (MATHEMATICS.md, section 4).
type scaled struct {
	Schedule
	scale *formula.Formula
}

// ScaleBy multiplies α and σ by a positive formula of t.
func ScaleBy(s Schedule, text string) (Schedule, error) {
	f, err := formula.Compile(text, "t")
	if err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	const samples = 1000
	for i := range samples + 1 {
		t := float64(i) / samples
		if v := f.At(t); !(v > 0) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("scale %q is %g at t = %g, want a positive number at every time, as in 1 + t", text, v, t)
		}
	}
	return scaled{s, f}, nil
}

func (s scaled) Base() (Schedule, ScheduleOptions) {
	return s.Schedule, ScheduleOptions{Scale: s.scale.Text}
}

func (s scaled) at(t float64) float64 { return s.scale.At(t) }

func (s scaled) AlphaSigma(t float64) (alpha, sigma float64) {
	a, b := s.Schedule.AlphaSigma(t)
	k := s.at(t)
	return k * a, k * b
}

func (s scaled) Velocity(t float64) (dAlpha, dSigma float64) {
	a, b := s.Schedule.AlphaSigma(t)
	dA, dB := s.Schedule.Velocity(t)
	k, dK := s.at(t), derivative(s.at, t)
	return k*dA + dK*a, k*dB + dK*b
}

func (s scaled) Path() Path {
	base := s.Schedule.Path()
	return Path{
		Name: "scaled " + base.Name, Natural: base.Natural,
		At: func(l float64) (float64, float64) {
			a, b := base.At(l)
			k := s.at(s.TimeOf(l))
			return k * a, k * b
		},
		Tangent: func(alpha, sigma float64) (float64, float64) {
			t := s.TimeOf(2 * math.Log(alpha/sigma))
			dAlpha, dSigma := s.Velocity(t)
			rate := LogSNRRate(s.Schedule, t)
			return dAlpha / rate, dSigma / rate
		},
	}
}

// told is the same schedule with another range of the network's time.
type told struct {
	Schedule
	scale int
}

// TellTime gives the network scale·t in the place of 1000 t: what it makes of its time
// changes as much more slowly, and so can be differentiated.
func TellTime(s Schedule, scale int) (Schedule, error) {
	if scale < 1 {
		return nil, fmt.Errorf("time scale %d, want 1 or more", scale)
	}
	if base, _ := Unmodified(s); InSteps(base) {
		return nil, fmt.Errorf("time scale %d: the network of a schedule in steps is told the number of the step; want a continuous one, such as fm", scale)
	}
	return told{s, scale}, nil
}

// InSteps says whether a schedule is one of numbered steps.
func InSteps(s Schedule) bool { _, ok := s.(Discrete); return ok }

func (s told) Base() (Schedule, ScheduleOptions) {
	return s.Schedule, ScheduleOptions{TimeScale: s.scale}
}

func (s told) NetworkTime(t float64) float64 {
	return float64(s.scale) * (s.Schedule.NetworkTime(t) / virtualSteps)
}

// TimeScale is what the network of a continuous schedule is told at the time of pure
// noise; 0 of a schedule in steps.
func TimeScale(s Schedule) int {
	base, o := Unmodified(s)
	switch {
	case InSteps(base):
		return 0
	case o.TimeScale != 0:
		return o.TimeScale
	}
	return virtualSteps
}

// derivative of a smooth function on [0, 1], from the polynomial through seven
// points beside t, inside the interval; good to about 1e-11.
func derivative(f func(float64) float64, t float64) float64 {
	const h = 1e-3
	centre := math.Min(math.Max(t, 3*h), 1-3*h)
	var sum float64
	for j := -3; j <= 3; j++ {
		var weight float64
		for m := -3; m <= 3; m++ {
			if m == j {
				continue
			}
			product := 1 / (float64(j-m) * h)
			for k := -3; k <= 3; k++ {
				if k != j && k != m {
					product *= (t - centre - float64(k)*h) / (float64(j-k) * h)
				}
			}
			weight += product
		}
		sum += weight * f(centre+float64(j)*h)
	}
	return sum
}

package process

import (
	"fmt"
	"math"

	"fluxion/data/lookup"
)

// Schedule says how much of data and noise there is at each time (MATHEMATICS.md, section 1).
type Schedule interface {
	// Name is what GetSchedule knows it by.
	Name() string
	// AlphaSigma returns α and σ at t in [0, 1].
	AlphaSigma(t float64) (alpha, sigma float64)
	// Velocity returns dα/dt and dσ/dt.
	Velocity(t float64) (dAlpha, dSigma float64)
	// LogSNR returns λ = ln(α²/σ²), decreasing in t, infinite where α or σ is 0.
	LogSNR(t float64) float64
	// TimeOf inverts LogSNR; beyond the schedule's ends it returns 0 or 1.
	TimeOf(lambda float64) float64
	// NetworkTime is what the network is told at time t: 1000 t for continuous
	// schedules, so that its embedding sees the range of DDPM's step numbers,
	// and the number of the step for discrete ones.
	NetworkTime(t float64) float64
	// Path is the curve that the schedule runs along.
	Path() Path
}

// Discrete is a schedule that was made of numbered steps, 0 the least noisy.
type Discrete interface {
	Schedule
	// Steps is their number, N.
	Steps() int
	// StepTime is the time of step n, which may lie between two steps.
	StepTime(n float64) float64
}

// virtualSteps are the steps that a continuous schedule is given where some are
// needed, as by diffusers' spacings.
const virtualSteps = 1000

// DefaultTimeScale is what the network of a continuous schedule is told at t = 1.
const DefaultTimeScale = virtualSteps

// StepTime returns the time of step n of a discrete schedule, and the number of
// its steps. A continuous schedule is given 1000, of which the last is at t = 1
// and the first, 0, still has noise.
func StepTime(s Schedule, n float64) (t float64, steps int) {
	if d, ok := s.(Discrete); ok {
		return d.StepTime(n), d.Steps()
	}
	return (n + 1) / virtualSteps, virtualSteps
}

// Named is a schedule's place in the list.
type Named struct {
	Name, About string
	make        func() (Schedule, error)
}

// Adding a schedule is a file and a line here.
var schedules = []Named{
	{"fm", "flow matching, the straight path: α = 1−t, σ = t", func() (Schedule, error) { return flowMatching{}, nil }},
	{"cosine", "variance preserving: α = cos(πt/2), σ = sin(πt/2)", func() (Schedule, error) { return cosine{}, nil }},
	{"vp-fm", "the straight path made variance preserving: (1−t, t)/√((1−t)²+t²)", func() (Schedule, error) { return vpFlow{}, nil }},
	{"vp-linear", "variance preserving with β linear in t: α² = exp(−9.95t²−0.1t)", func() (Schedule, error) { return newVPLinear("vp-linear", VPPath), nil }},
	{"ddpm-linear", "DDPM's 1000 steps, β from 1e-4 to 0.02", func() (Schedule, error) { return NewDiscrete("ddpm-linear", LinearBetas(1e-4, 0.02, 1000)) }},
	{"ddpm-scaled-linear", "1000 steps, √β linear, β from 0.00085 to 0.012 (Stable Diffusion)", func() (Schedule, error) {
		return NewDiscrete("ddpm-scaled-linear", ScaledLinearBetas(0.00085, 0.012, 1000))
	}},
	{"ddpm-squaredcos", "1000 steps, ᾱ = cos²((t+0.008)/1.008·π/2), β at most 0.999 (improved DDPM)", func() (Schedule, error) {
		return NewDiscrete("ddpm-squaredcos", SquaredCosineBetas(1000))
	}},
	{"ddpm-squaredcos-4000", "the same in 4000 steps, as improved DDPM itself has it", func() (Schedule, error) {
		return NewDiscrete("ddpm-squaredcos-4000", SquaredCosineBetas(4000))
	}},
	{"ddpm-sigmoid", "1000 steps, β a sigmoid from 1e-4 to 0.02", func() (Schedule, error) { return NewDiscrete("ddpm-sigmoid", SigmoidBetas(1e-4, 0.02, 1000)) }},
	{"ve", "variance exploding, EDM's range: α = 1, σ from 0.002 to 80, ln σ linear in t", func() (Schedule, error) { return NewVE("ve", 0.002, 80) }},
	{"i2sb", "the straight path by I²SB's clock, slow at both ends", func() (Schedule, error) { return i2sb{}, nil }},
	{"sub-vp", "sub-VP: α as vp-linear, σ = 1−α²", func() (Schedule, error) { return newVPLinear("sub-vp", SubVPPath), nil }},
}

// Schedules returns the names that GetSchedule knows.
func Schedules() []string { return names(schedules, func(n Named) string { return n.Name }) }

// ListSchedules returns every schedule's name and what it is.
func ListSchedules() []Named { return schedules }

func names[T any](list []T, name func(T) string) []string {
	all := make([]string, len(list))
	for i, x := range list {
		all[i] = name(x)
	}
	return all
}

// GetSchedule returns a schedule by name, modified.
func GetSchedule(name string, o ScheduleOptions) (Schedule, error) {
	i, err := lookup.Find("schedule", name, Schedules())
	if err != nil {
		return nil, err
	}
	s, err := schedules[i].make()
	if err == nil {
		s, err = Modify(s, o)
	}
	if err != nil {
		return nil, fmt.Errorf("schedule %s: %w", name, err)
	}
	return s, nil
}

// LogSNRRate returns dλ/dt = 2(α̇/α − σ̇/σ), which is negative.
func LogSNRRate(s Schedule, t float64) float64 {
	var q Point
	q.Alpha, q.Sigma = s.AlphaSigma(t)
	q.DAlpha, q.DSigma = s.Velocity(t)
	return q.LogSNRRate()
}

// LogSNRRate is dλ/dt at the point.
func (q Point) LogSNRRate() float64 { return 2 * (q.DAlpha/q.Alpha - q.DSigma/q.Sigma) }

// continuous is the time input of schedules without step numbers.
type continuous struct{}

func (continuous) NetworkTime(t float64) float64 { return virtualSteps * t }

func clampTime(t float64) float64 { return math.Min(math.Max(t, 0), 1) }

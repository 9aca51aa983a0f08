package process

import (
	"fmt"
	"math"
)

// Schedule says how much of data and noise there is at each time (section 1).
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
	// schedules, so that its embedding sees the range of DDPM's step numbers.
	NetworkTime(t float64) float64
}

// ScheduleOptions are the numbers that schedules take; a schedule that does not
// take one refuses it.
type ScheduleOptions struct {
	MaxLogSNR float64 // cosine: |λ| stays below it; 0 is no limit
}

// Adding a schedule is a file and a line here.
var schedules = []struct {
	name string
	make func(ScheduleOptions) (Schedule, error)
}{
	{"fm", newFlowMatching},
	{"cosine", newCosine},
}

// Schedules returns the names that GetSchedule knows.
func Schedules() []string {
	names := make([]string, len(schedules))
	for i, s := range schedules {
		names[i] = s.name
	}
	return names
}

// GetSchedule returns a schedule by name.
func GetSchedule(name string, o ScheduleOptions) (Schedule, error) {
	i, err := Find("schedule", name, Schedules())
	if err != nil {
		return nil, err
	}
	s, err := schedules[i].make(o)
	if err != nil {
		return nil, fmt.Errorf("schedule %s: %w", name, err)
	}
	return s, nil
}

// LogSNRRate returns dλ/dt = 2(α̇/α − σ̇/σ), which is negative.
func LogSNRRate(s Schedule, t float64) float64 {
	alpha, sigma := s.AlphaSigma(t)
	dAlpha, dSigma := s.Velocity(t)
	return 2 * (dAlpha/alpha - dSigma/sigma)
}

// continuous is the time input of schedules without step numbers.
type continuous struct{}

func (continuous) NetworkTime(t float64) float64 { return 1000 * t }

func clampTime(t float64) float64 { return math.Min(math.Max(t, 0), 1) }

package process

import "math"

// TimeSampler draws training times (section 3). With a loss on the network's
// own output it decides the weighting, too; see Process.Weighting.
type TimeSampler struct {
	Name string
	// Time maps a uniform number in (0, 1) to a time, increasing.
	Time func(u float64) float64
	// Density of that time.
	Density func(t float64) float64
}

// Adding a time sampler is a line here.
var timeSamplers = []TimeSampler{
	{"uniform", func(u float64) float64 { return u }, func(float64) float64 { return 1 }},
	logitNormal("logit-normal", 0, 1),
}

// logitNormal draws ln(t/(1−t)) ~ N(m, s²): Esser et al., "Scaling Rectified
// Flow Transformers" (2024), equation 19.
func logitNormal(name string, m, s float64) TimeSampler {
	return TimeSampler{
		Name: name,
		Time: func(u float64) float64 {
			return 1 / (1 + math.Exp(-m-s*math.Sqrt2*math.Erfinv(2*u-1)))
		},
		Density: func(t float64) float64 {
			d := (math.Log(t/(1-t)) - m) / s
			return math.Exp(-d*d/2) / (s * math.Sqrt(2*math.Pi) * t * (1 - t))
		},
	}
}

// TimeSamplers returns the names that GetTimeSampler knows.
func TimeSamplers() []string {
	names := make([]string, len(timeSamplers))
	for i, s := range timeSamplers {
		names[i] = s.Name
	}
	return names
}

// GetTimeSampler returns a time sampler by name.
func GetTimeSampler(name string) (TimeSampler, error) {
	i, err := Find("time sampler", name, TimeSamplers())
	if err != nil {
		return TimeSampler{}, err
	}
	return timeSamplers[i], nil
}

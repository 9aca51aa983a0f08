package process

// Output is what a network predicts, y = a x + b ε (section 2).
type Output struct {
	Name string
	// Row returns (a, b) at time t.
	Row func(s Schedule, t float64) (a, b float64)
}

// Adding an output is a line here.
var outputs = []Output{
	// Velocity of the path, dz/dt at fixed x and ε; ε − x for flow matching.
	{"u", func(s Schedule, t float64) (float64, float64) { return s.Velocity(t) }},
	{"x", func(Schedule, float64) (float64, float64) { return 1, 0 }},
	{"eps", func(Schedule, float64) (float64, float64) { return 0, 1 }},
	// Salimans and Ho, "Progressive Distillation" (2022).
	{"v", func(s Schedule, t float64) (float64, float64) {
		alpha, sigma := s.AlphaSigma(t)
		return -sigma, alpha
	}},
}

// Outputs returns the names that GetOutput knows.
func Outputs() []string {
	names := make([]string, len(outputs))
	for i, o := range outputs {
		names[i] = o.Name
	}
	return names
}

// GetOutput returns an output by name.
func GetOutput(name string) (Output, error) {
	i, err := Find("output", name, Outputs())
	if err != nil {
		return Output{}, err
	}
	return outputs[i], nil
}

package process

import (
	"fmt"
	"math"

	"fluxion/data/lookup"
)

// Output is what a network predicts, y = a x + b ε (MATHEMATICS.md, section 2), and how the
// network is fed.
type Output struct {
	Name, About string
	// Row returns (a, b) at a point, of which all but A, B and Input are known.
	Row func(q Point) (a, b float64)
	// Input is what z is multiplied by for the network; nil is 1.
	Input func(q Point) float64
	// NetworkTime is what the network is told; nil is the schedule's.
	NetworkTime func(q Point) float64
	// Fits refuses schedules with which the output makes no sense; nil takes all.
	Fits func(s Schedule) error
	// Third returns the output's row at a point of a Brownian bridge of a spread; nil: it is
	// Row's, and has nothing of the third noise.
	Third func(q Point, spread float64) (a, b, c float64)
}

// Adding an output is a line here.
var outputs = []Output{
	{Name: "u", About: "flow: ε − x", Row: func(Point) (float64, float64) { return -1, 1 }},
	{Name: "x", About: "the data", Row: func(Point) (float64, float64) { return 1, 0 }},
	{Name: "eps", About: "the noise", Row: func(Point) (float64, float64) { return 0, 1 }},
	{Name: "v", About: "αε − σx (Salimans and Ho)", Row: func(q Point) (float64, float64) { return -q.Sigma, q.Alpha }, Fits: notExploding},
	{Name: "velocity", About: "dz/dt along the path: α̇x + σ̇ε", Row: func(q Point) (float64, float64) { return q.DAlpha, q.DSigma }},
	{Name: "score", About: "∇log p: −ε/σ", Row: func(q Point) (float64, float64) { return 0, -1 / q.Sigma }},
	EDM("edm", 0.5),
	{Name: "i2sb", About: "I²SB: (z − x)/σ_f, on a Brownian bridge", Row: func(q Point) (float64, float64) { return -math.Sqrt(q.Sigma), math.Sqrt(q.Sigma) }, Third: i2sbRow},
}

func notExploding(s Schedule) error {
	if s.Path().Name == VEPath.Name {
		return fmt.Errorf("output v on schedule %s has α = 1 and grows without bound; want eps, x, u or edm there, or v on a variance-preserving schedule such as cosine", s.Name())
	}
	return nil
}

// EDM is the preconditioned output F of Karras et al., "Elucidating the Design
// Space…" (2022), table 1: x̂ = c_skip z + c_out F(c_in z, c_noise), for data of
// standard deviation sigmaData. On other schedules than α = 1 it stands on z/α
// and σ/α.
func EDM(name string, sigmaData float64) Output {
	return Output{
		Name: name, About: fmt.Sprintf("EDM's F, preconditioned for data of deviation %g", sigmaData),
		// a = (1−c_skip)/c_out and b = −c_skip ρ/c_out with ρ = σ/α, both over
		// √(ρ²+σ_d²) and written so that α may be 0.
		Row: func(q Point) (a, b float64) {
			n := math.Hypot(q.Sigma, q.Alpha*sigmaData)
			return q.Sigma / (sigmaData * n), -q.Alpha * sigmaData / n
		},
		Input:       func(q Point) float64 { return 1 / math.Hypot(q.Sigma, q.Alpha*sigmaData) },
		NetworkTime: func(q Point) float64 { return -q.LogSNR / 8 }, // ln(σ/α)/4
	}
}

// Outputs returns the names that GetOutput knows.
func Outputs() []string { return names(outputs, func(o Output) string { return o.Name }) }

// ListOutputs returns every output.
func ListOutputs() []Output { return outputs }

// GetOutput returns an output by name.
func GetOutput(name string) (Output, error) {
	i, err := lookup.Find("output", name, Outputs())
	if err != nil {
		return Output{}, err
	}
	return outputs[i], nil
}

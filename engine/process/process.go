// Package process is the mathematics of diffusion and Gaussian flow matching,
// which are one thing. Comments cite the sections of the project's process.md,
// which follows Gao et al., "Diffusion Meets Flow Matching: Two Sides of the
// Same Coin" (2024, diffusionflow.github.io). Everything is float64 and pure.
//
// Time t runs from 0 (data) to 1 (noise), z = αx + σε, λ = ln(α²/σ²).
package process

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Process is a schedule and what the network predicts along it.
type Process struct {
	Schedule Schedule
	Output   Output
}

// Get returns the process of a schedule and an output by name.
func Get(schedule string, o ScheduleOptions, output string) (Process, error) {
	s, err := GetSchedule(schedule, o)
	if err != nil {
		return Process{}, err
	}
	y, err := GetOutput(output)
	return Process{s, y}, err
}

func (p Process) String() string { return p.Schedule.Name() + "/" + p.Output.Name }

// Point is the process at one time: z = Alpha x + Sigma ε, y = A x + B ε.
type Point struct {
	Time         float64
	NetworkTime  float64
	Alpha, Sigma float64
	A, B         float64
}

// At returns the process at time t. These are also the coefficients of a
// training pair: the network's input z, its time input and its target y.
func (p Process) At(t float64) Point {
	alpha, sigma := p.Schedule.AlphaSigma(t)
	a, b := p.Output.Row(p.Schedule, t)
	return Point{t, p.Schedule.NetworkTime(t), alpha, sigma, a, b}
}

// Data is where sampling ends: z = x, for which no network is called.
var Data = Point{Alpha: 1, A: math.NaN(), B: math.NaN()}

// Linear is a combination Z z + Y y of a state and the network's output there.
type Linear struct{ Z, Y float64 }

// Plus returns a l + b m.
func (l Linear) Plus(a float64, m Linear, b float64) Linear {
	return Linear{a*l.Z + b*m.Z, a*l.Y + b*m.Y}
}

// singular is the determinant, relative to its two terms, below which a
// conversion is refused; float64 would still do at |λ| = 40.
const singular = 1e-9

// Convert solves (α σ; a b)(x ε)ᵀ = (z y)ᵀ (section 2): x̂ and ε̂ as
// combinations of z and y. It is an error where y does not determine one of
// them, as ε at t = 1, where z says nothing of x.
func (q Point) Convert() (x, eps Linear, err error) {
	det := q.Alpha*q.B - q.A*q.Sigma
	scale := math.Hypot(q.Alpha, q.Sigma) * math.Hypot(q.A, q.B)
	if !(math.Abs(det) > singular*scale) { // also for NaN
		return Linear{}, Linear{}, fmt.Errorf("at t = %g, z = %.3gx + %.3gε and y = %.3gx + %.3gε do not determine x and ε",
			q.Time, q.Alpha, q.Sigma, q.A, q.B)
	}
	return Linear{q.B / det, -q.Sigma / det}, Linear{-q.A / det, q.Alpha / det}, nil
}

// startLogSNR is where sampling starts when it cannot start at t = 1. An error
// of the network is multiplied by e^{−λ/2} in x̂; at −13 that is 665, and it is
// where DDPM's thousandth step stands (t = 0.999 on the cosine). What is lost
// is α/σ = 0.0015 of the data's mean. The sampler's arithmetic would bear
// λ = −20, a float32 network (×22 000) would not.
const startLogSNR = -13

// Start returns the time at which sampling starts: 1, unless the output does
// not determine x there or amplifies errors more than at λ = −13.
func (p Process) Start() float64 {
	if x, _, err := p.At(1).Convert(); err == nil && math.Abs(x.Y) <= math.Exp(-startLogSNR/2.) {
		return 1
	}
	return p.Schedule.TimeOf(startLogSNR)
}

// Weighting returns w(λ), which a mean squared error on the process's output
// with times drawn by the sampler gives to the ε-error in the objective
// ∫ w(λ) E‖ε̂−ε‖² dλ (section 3): w = p(λ)·(b − aσ/α)².
func (p Process) Weighting(times TimeSampler, lambda float64) float64 {
	t := p.Schedule.TimeOf(lambda)
	q := p.At(t)
	density := times.Density(t) / math.Abs(LogSNRRate(p.Schedule, t))
	factor := q.B - q.A*q.Sigma/q.Alpha
	return density * factor * factor
}

// Find returns the position of a name in a list. Its error names the nearest
// and all of them.
func Find(kind, name string, names []string) (int, error) {
	if i := slices.Index(names, name); i >= 0 {
		return i, nil
	}
	nearest, least := "", len(name)/2+1
	for _, n := range names {
		if d := distance(strings.ToLower(name), n); d < least {
			nearest, least = n, d
		}
	}
	hint := ""
	if nearest != "" {
		hint = fmt.Sprintf("did you mean %q? ", nearest)
	}
	return 0, fmt.Errorf("unknown %s %q: %sthere are %s", kind, name, hint, strings.Join(names, ", "))
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

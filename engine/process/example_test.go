package process_test

import (
	"fmt"

	"fluxion/engine/process"
)

// A process is a schedule and what the network predicts. At a time it says all
// that a training pair needs.
func ExampleGet() {
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		panic(err)
	}
	q := p.At(0.25)
	fmt.Printf("z = %g x + %g ε\n", q.Alpha, q.Sigma)
	fmt.Printf("y = %g x + %g ε, at network time %g\n", q.A, q.B, q.NetworkTime)
	x, err := q.X()
	if err != nil {
		panic(err)
	}
	fmt.Printf("x = %g z + %g y\n", x.Z, x.Y)
	// Output:
	// z = 0.75 x + 0.25 ε
	// y = -1 x + 1 ε, at network time 250
	// x = 1 z + -0.25 y
}

// An objective joins a process with the times that are drawn and a weighting, and
// knows the weighting that this comes to.
func ExampleNewObjective() {
	p, err := process.Get("cosine", process.ScheduleOptions{MaxLogSNR: 15}, "v")
	if err != nil {
		panic(err)
	}
	o, err := process.NewObjective(p, "uniform", "plain")
	if err != nil {
		panic(err)
	}
	// v on the cosine, with uniform times, is flow matching: w(λ) ∝ e^{−λ/2}.
	fmt.Printf("w(2)/w(0) = %.4f\n", o.Effective(2)/o.Effective(0))
	// Output:
	// w(2)/w(0) = 0.3679
}

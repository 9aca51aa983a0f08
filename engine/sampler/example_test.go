package sampler_test

import (
	"fmt"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
)

// A plan is a row of coefficients for each call of the network.
func ExampleSampler_Plan() {
	p, err := process.Get("fm", process.ScheduleOptions{}, "u")
	if err != nil {
		panic(err)
	}
	s, err := sampler.Get("euler")
	if err != nil {
		panic(err)
	}
	table, err := s.Plan(p, sampler.Options{Steps: 4})
	if err != nil {
		panic(err)
	}
	fmt.Printf("z = %g ξ\n", table.Start)
	for _, r := range table.Rows {
		fmt.Printf("at t = %.2f: z ← %.2f z %+.2f y %+.2f ξ\n", r.Call.Time, r.A, r.B[0], r.C)
	}
	// Output:
	// z = 1 ξ
	// at t = 1.00: z ← 1.00 z -0.25 y +0.00 ξ
	// at t = 0.75: z ← 1.00 z -0.25 y +0.00 ξ
	// at t = 0.50: z ← 1.00 z -0.25 y +0.00 ξ
	// at t = 0.25: z ← 1.00 z -0.25 y +0.00 ξ
}

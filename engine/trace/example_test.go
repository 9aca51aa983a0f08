package trace_test

import (
	"context"
	"fmt"

	"fluxion/engine/process"
	"fluxion/engine/sampler"
	"fluxion/engine/trace"
)

// A sampler runs on a denoiser in closed form: no network, in float64.
func ExampleSetup_Run() {
	setup, err := trace.Config{
		Schedule: "fm", Modifiers: process.ScheduleOptions{}, Output: "x", Sampler: "ddim", Options: sampler.Options{Steps: 4},
	}.Resolve()
	if err != nil {
		panic(err)
	}
	denoiser, err := trace.ParseDenoiser("gaussian:mean=0.5,var=0.25")
	if err != nil {
		panic(err)
	}
	result, err := setup.Run(context.Background(), []float64{1.2}, denoiser, trace.SeededNoise(1))
	if err != nil {
		panic(err)
	}
	for i, z := range result.States {
		fmt.Printf("t = %.2f: z = %.4f\n", setup.Grid.Points[i].Time, z[0])
	}
	// Output:
	// t = 1.00: z = 1.2000
	// t = 0.75: z = 1.0250
	// t = 0.50: z = 0.8824
	// t = 0.25: z = 0.8177
	// t = 0.00: z = 0.9086
}

package scheduler_test

import (
	"fmt"
	"os"
	"path/filepath"

	"fluxion/engine/scheduler"
)

// A scheduler of diffusers becomes the process that its network was trained on, and
// rows of coefficients for a number of steps.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "scheduler")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	text := `{"_class_name": "DDIMScheduler", "beta_schedule": "linear", "prediction_type": "epsilon", "clip_sample": false}`
	if err := os.WriteFile(filepath.Join(dir, "scheduler_config.json"), []byte(text), 0o600); err != nil {
		panic(err)
	}
	config, err := scheduler.Open(dir)
	if err != nil {
		panic(err)
	}
	p, err := config.Process()
	if err != nil {
		panic(err)
	}
	plan, err := config.Plan(scheduler.Options{Steps: 5})
	if err != nil {
		panic(err)
	}
	fmt.Println(p)
	for _, r := range plan.Rows {
		fmt.Printf("step %g: z ← %.4f z %+.4f y\n", r.Call.NetworkTime, r.A, r.B[0])
	}
	// Output:
	// ddpm-linear/eps
	// step 800: z ← 4.1182 z -3.1280 y
	// step 600: z ← 2.7515 z -1.8181 y
	// step 400: z ← 1.8414 z -1.0674 y
	// step 200: z ← 1.2343 z -0.7136 y
	// step 0: z ← 1.0001 z -0.0100 y
}

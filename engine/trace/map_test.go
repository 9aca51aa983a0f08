package trace

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"fluxion/engine/sampler"
)

// TestMap: one jump of a flow map is its flow. Data ½N(−1, 0.04) + ½N(1, 0.04) keep
// their quantiles: values by inversion of the cumulative distribution.
func TestMap(t *testing.T) {
	file := filepath.Join(t.TempDir(), "two.json")
	if err := os.WriteFile(file, []byte(`{"means": [[-1], [1]], "vars": [0.04, 0.04]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	d := denoiser(t, "mixture:"+file)
	run := func(schedule, output, grid string, eta float64, z float64, noise Noise) []float64 {
		c := Config{Schedule: schedule, Output: output, Sampler: "map", Options: sampler.Options{Grid: grid, Eta: &eta}}
		setup, err := c.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		r, err := setup.Run(context.Background(), []float64{z}, d, noise)
		if err != nil {
			t.Fatal(err)
		}
		var all []float64
		for _, s := range r.States[1:] {
			all = append(all, s[0])
		}
		return all
	}
	for z, want := range map[float64]float64{0.5: .9404384358, -0.1: -.7185217127, 2: 1.3380286756} {
		near(t, "one jump", run("fm", "u", "t:1,0", 0, z, nil)[0], want, 2e-6)
		near(t, "one jump along another schedule", run("cosine", "v", "t:1,0", 0, z, nil)[0], want, 2e-6)
	}
	for i, want := range []float64{.3970970857, .3994029894, .6631753245, .9404384358} {
		near(t, "a state", run("fm", "u", "t:1,0.75,0.5,0.25,0", 0, 0.5, nil)[i], want, 2e-6)
	}
	// By way of the data and back: the last jump begins at 0.5 x + 0.5 ξ, of which ξ = 0.25.
	back := GivenNoise([][]float64{{0.25}})
	states := run("fm", "u", "t:1,0.5,0", 1, 0.5, back)
	near(t, "with fresh noise", states[0], 0.5*.9404384358+0.5*0.25, 2e-6)
}

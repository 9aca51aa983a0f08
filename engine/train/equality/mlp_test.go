package equality

import (
	"slices"
	"testing"

	"fluxion/engine/generate"
	"fluxion/engine/train"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// perceptron is a network whose activations are vectors.
func perceptron(t *testing.T, estimate bool) nets.Network {
	t.Helper()
	n, err := train.Network("mlp", nets.Spec{Height: size, Width: size, Channels: 3, Classes: classes, Estimate: estimate})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPerceptron: a network of another kind learns the same on both devices, in either
// precision; neither fusions nor recomputation change a bit of it.
func TestPerceptron(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for precision, within := range map[number.Type][2]float64{number.Float32: {1e-5, 1e-4}, number.BFloat16: {2e-3, 2e-2}} {
		o := train.StepOptions{Network: perceptron(t, true), Batch: 3, Accumulate: 1, Precision: precision}
		want, wantNorm := curve(t, "cpu", o, 3)
		got, norm := curve(t, "cuda:0", o, 3)
		near(t, "loss", got, want, within[0])
		near(t, "norm", norm, wantNorm, within[1])
		for _, change := range []train.StepOptions{{Without: []string{"reshape"}}, {Recompute: "norms"}, {Recompute: "blocks"}} {
			o.Without, o.Recompute = change.Without, change.Recompute
			if again, norms := curve(t, "cpu", o, 3); !slices.Equal(again, want) || !slices.Equal(norms, wantNorm) {
				t.Errorf("%v without %v, recompute %q: other bits", precision, o.Without, o.Recompute)
			}
		}
	}
}

// TestPerceptronPictures: and it is sampled on both.
func TestPerceptronPictures(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	n := perceptron(t, false)
	want := picturesOf(t, n, "cpu", "ddim", generate.Guidance{Scale: 2}, number.Float32, nil)
	got := picturesOf(t, n, "cuda:0", "ddim", generate.Guidance{Scale: 2}, number.Float32, nil)
	for i, w := range want {
		if d := int(w) - int(got[i]); d < -1 || d > 1 {
			t.Fatalf("pixel %d is %d on the GPU, %d on the CPU", i, got[i], w)
		}
	}
	if slices.Min(want) == slices.Max(want) {
		t.Error("all pixels are alike")
	}
}

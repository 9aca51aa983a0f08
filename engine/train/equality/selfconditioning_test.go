package equality

import (
	"slices"
	"testing"

	"fluxion/engine/train"
	"fluxion/kernels/number"
	"fluxion/nets"
)

// TestSelfConditioning: steps whose images are given the network's own estimate are
// the same on both devices, whole and in parts.
func TestSelfConditioning(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	conditioned, err := nets.WithEstimate(network(t), true)
	if err != nil {
		t.Fatal(err)
	}
	o := train.StepOptions{Network: conditioned, Batch: 2, Accumulate: 2}
	plain, _ := curve(t, "cpu", train.StepOptions{Batch: 2, Accumulate: 2}, 3)
	want, wantNorm := curve(t, "cpu", o, 3)
	if want[0] == plain[0] {
		t.Error("the estimate changes nothing")
	}
	got, norm := curve(t, "cuda:0", o, 3)
	near(t, "loss", got, want, 1e-5)
	near(t, "norm", norm, wantNorm, 1e-4)

	o.Accumulate, o.Precision = 1, number.BFloat16
	want, _ = curve(t, "cpu", o, 2)
	got, _ = curve(t, "cuda:0", o, 2)
	near(t, "loss in bfloat16", got, want, 2e-3)
}

// TestSelfConditioningResumes: on a GPU to the bit, and the CPU learns the same.
func TestSelfConditioningResumes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds on the simulator")
	}
	s := settings("cuda:0", 4)
	s.SelfConditioning = 0.9
	want, _ := runWith(t, t.TempDir(), s)
	dir := t.TempDir()
	s.Images = 2
	before, _ := runWith(t, dir, s)
	s.Images = 4
	if got, _ := runWith(t, dir, s); !slices.Equal(got, want) {
		t.Errorf("weights of a resumed run differ by %.2g", distance(got, want))
	}
	s.Device = "cpu"
	got, _ := runWith(t, t.TempDir(), s)
	if off, moved := distance(got, want), distance(before, want); !(off <= 1e-3*moved) {
		t.Errorf("weights differ by %.2g on the CPU where the steps moved them by %.2g", off, moved)
	}
}

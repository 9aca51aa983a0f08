package device

import (
	"testing"

	"fluxion/kernels/number"
)

// TestBias: gradients of weights sum rows for those of biases, which are fewer launches and the same up to
// the order of the additions.
func TestBias(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	d := testCUDA(t)
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		joint, apart := differentiated(t, d, "ddpm", precision), differentiated(t, d, "ddpm", precision, "bias")
		if one, two := kernelsOf(t, joint.plan), kernelsOf(t, apart.plan); one > two*9/10 {
			t.Errorf("in %v %d kernels are launched, with sums of their own %d", precision, one, two)
		}
		want := apart.results(t)
		for i, got := range joint.results(t) {
			if e := relative(got, want[i]); !(e <= 1e-6) {
				t.Errorf("in %v result %d is %.2g apart", precision, i, e)
			}
		}
	}
}

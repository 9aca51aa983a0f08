package device

import (
	"testing"

	"fluxion/kernels/number"
)

// TestChain: gradients that several layers have of a time embedding are one sum of products, up to the order of the additions.
func TestChain(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	d := testCUDA(t)
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		joint, apart := differentiated(t, d, "ddpm", precision), differentiated(t, d, "ddpm", precision, "chain")
		if one, two := kernelsOf(t, joint.plan), kernelsOf(t, apart.plan); one >= two {
			t.Errorf("in %v %d kernels are launched, one after the other %d", precision, one, two)
		}
		want := apart.results(t)
		for i, got := range joint.results(t) {
			if e := relative(got, want[i]); !(e <= 1e-6) {
				t.Errorf("in %v result %d is %.2g apart", precision, i, e)
			}
		}
	}
}

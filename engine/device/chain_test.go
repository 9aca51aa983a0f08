package device

import (
	"testing"

	"fluxion/kernels/number"
)

// TestChain: gradients that several layers have of a time embedding are one sum of products, up to the order of the additions.
// Queries, keys and values are one product, and the gradient of what they are made of, which is rounded once.
func TestChain(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	d := testCUDA(t)
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		joint := differentiated(t, d, "ddpm", precision)
		budgets := map[string]float64{"chain": 1e-6}
		if precision == number.BFloat16 {
			budgets["products"] = 2e-2
		}
		for name, budget := range budgets {
			apart := differentiated(t, d, "ddpm", precision, name)
			if one, two := kernelsOf(t, joint.plan), kernelsOf(t, apart.plan); one >= two {
				t.Errorf("in %v %d kernels are launched, without %q %d", precision, one, name, two)
			}
			want := apart.results(t)
			for i, got := range joint.results(t) {
				if e := relative(got, want[i]); !(e <= budget) {
					t.Errorf("in %v result %d is %.2g apart without %q", precision, i, e, name)
				}
			}
		}
	}
}

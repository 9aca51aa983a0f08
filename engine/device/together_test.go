package device

import (
	"slices"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels/number"
)

// TestTogether: kernels that run side by side are fewer launches, of the same bits.
func TestTogether(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	d := testCUDA(t)
	for _, precision := range []number.Type{number.Float32, number.BFloat16} {
		together := differentiated(t, d, "ddpm", precision)
		apart := differentiated(t, d, "ddpm", precision, "together")
		if joint, single := kernelsOf(t, together.plan), kernelsOf(t, apart.plan); joint > single*9/10 {
			t.Errorf("in %v %d kernels are launched, alone %d", precision, joint, single)
		}
		want := apart.results(t)
		for i, got := range together.results(t) {
			if !slices.Equal(got, want[i]) {
				t.Errorf("in %v result %d has other bits", precision, i)
			}
		}
	}
}

// kernelsOf is how many launches of functions a plan is.
func kernelsOf(t *testing.T, p *plan.Plan) (n int) {
	t.Helper()
	calls, _, err := Calls(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calls {
		n += len(c)
	}
	return n
}

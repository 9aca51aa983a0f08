package device

import (
	"slices"
	"testing"

	"fluxion/engine/plan"
	"fluxion/kernels/number"
)

// TestRecompute: what is forgotten and made again gives the same bits, whatever
// else the plan joins, in less memory and for the cost announced.
func TestRecompute(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	d, err := NewCPU(2, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	for _, c := range []struct {
		device   Device
		fixtures []string
		options  plan.Options
	}{
		{d, []string{"ddpm", "imagenet"}, plan.Options{}},
		{d, []string{"ddpm", "imagenet"}, plan.Options{Precision: number.BFloat16}},
		{d, []string{"imagenet"}, plan.Options{Without: plan.FusionNames()}},
		{testCUDA(t), []string{"imagenet"}, plan.Options{Precision: number.BFloat16}},
	} {
		for _, fixture := range c.fixtures {
			kept := differentiatedAs(t, c.device, fixture, c.options)
			want, most := kept.results(t), kept.plan.Sizes[plan.Arena]
			least := most
			for _, r := range plan.Recomputations[1:] {
				o := c.options
				o.Recompute = r.Name
				n := differentiatedAs(t, c.device, fixture, o)
				for i, got := range n.results(t) {
					if !slices.Equal(got, want[i]) {
						t.Errorf("%s, %s, %+v: result %d has other bits", c.device.Name(), fixture, o, i)
					}
				}
				// Of images so few, parts of products may be what fills the arena; engine/plan asks more of presets.
				if arena := n.plan.Sizes[plan.Arena]; arena > least || arena == most {
					t.Errorf("%s, %s, %s: arena of %d bytes, want less than %d, and no more than %d", c.device.Name(), fixture, r.Name, arena, most, least)
				} else {
					least = arena
				}
			}
		}
	}
}

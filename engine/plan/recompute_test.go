package plan

import (
	"strings"
	"testing"

	"fluxion/kernels/number"
	"fluxion/nets/catalog"
)

// TestRecompute: with every recomputation the arena shrinks, the launches made
// again are the whole difference in cost, and none of them costs a norm much.
func TestRecompute(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for _, preset := range catalog.PresetNames() {
		for _, precision := range []number.Type{number.Float32, number.BFloat16} {
			batch := 2
			if preset == "mlp" { // of few images, it keeps less than its gradients take
				batch = 4096
			}
			kept := planned(t, preset, batch, Options{Precision: precision})
			arena := kept.Sizes[Arena]
			for _, r := range Recomputations[1:] {
				p := planned(t, preset, batch, Options{Precision: precision, Recompute: r.Name})
				if p.Sizes[Arena] >= arena {
					t.Errorf("%s, %v, %s: arena of %d bytes, want less than %d", preset, precision, r.Name, p.Sizes[Arena], arena)
				}
				arena = p.Sizes[Arena]
				again, cost := p.Recomputed(), kept.Cost()
				if p.Cost().FLOPs != cost.FLOPs+again.FLOPs || again.FLOPs == 0 {
					t.Errorf("%s, %v, %s: %d FLOPs of which %d again, without recomputation %d", preset, precision, r.Name, p.Cost().FLOPs, again.FLOPs, cost.FLOPs)
				}
				share := float64(again.FLOPs) / float64(cost.FLOPs)
				if limit := map[string]float64{"norms": 0.02, "blocks": 1. / 3}[r.Name]; share > limit {
					t.Errorf("%s, %v, %s: %.3f of the arithmetic is done again, want at most %.3f", preset, precision, r.Name, share, limit)
				}
			}
		}
	}
	for name, want := range map[string]string{"norms": "without a loss", "some": "want one of none, norms, blocks"} {
		if _, err := Compile(Options{Recompute: name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("recomputation %q of nothing: %v, want %q", name, err, want)
		}
	}
}

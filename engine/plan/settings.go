package plan

import (
	"strings"

	"fluxion/data/setting"
)

// RecomputeSetting declares what is computed again to save memory.
func RecomputeSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "recompute", Value: setting.Of(p), Offers: RecomputationNames(), Since: "2026-11-24", Before: "none",
		Help: "activations that are made again in the backward pass, to save memory: " + strings.Join(RecomputationNames(), ", "),
	}
}

// WithoutSetting declares fusions that are left out.
func WithoutSetting(p *[]string) setting.Setting {
	return setting.Setting{
		Key: "without", Value: setting.Names(p), Offers: FusionNames(), Help: "fusions to leave out of the plan, to see what they bring: " + strings.Join(FusionNames(), ", "),
	}
}

package scheduler

import (
	"fluxion/data/setting"
)

// Settings declares how a scheduler's file is taken: which departures of diffusers from
// theory are repeated, and its shift, if that depends on the image.
func Settings(compat *string, mu **float64, tokens *int) setting.List {
	return setting.List{
		{
			Key: "compat", Value: setting.Of(compat), Help: "departures of diffusers from theory; unless given, its defects are left out and its conventions kept",
			Range: setting.Range{Text: "diffusers, to repeat all of them, or none, to leave all out", Holds: func(name any) bool {
				_, ok := Compats[name.(string)]
				return ok
			}},
		},
		{Key: "mu", Value: setting.Optional(mu), Help: "of a scheduler with dynamic shifting: how much"},
		{Key: "image_tokens", Value: setting.Of(tokens), Help: "or of how many tokens the image is, from which μ follows"},
	}
}

package train

import "math"

// inverseSqrt is EDM2's (Karras et al., arXiv 2312.02696): 1/√max(t/t_ref, 1).
// It does not know how long the run is.
var inverseSqrt = rate{
	method{
		name: "inverse-sqrt", does: "EDM2's: a plateau for lr-ref images, then as 1/√images", own: []string{"lr_ref"},
		defaults: func(s *Settings) { s.LRRef = max(1, s.Images/10) },
	},
	func(s Settings, images int64) float64 {
		return 1 / math.Sqrt(max(float64(images)/float64(s.LRRef), 1))
	},
}

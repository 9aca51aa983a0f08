package train

import "math"

// stepwise is torch.optim.lr_scheduler.StepLR, whose step_size and gamma are lr_step and
// lr_gamma.
var stepwise = rate{
	method{
		name: "step", does: "plateaus of lr-step images, each lr-gamma as high as the one before", own: []string{"lr_step", "lr_gamma"},
		defaults: func(s *Settings) { s.LRStep, s.LRGamma = max(1, s.Images/3), 0.1 },
	},
	func(s Settings, images int64) float64 { return math.Pow(s.LRGamma, float64(images/s.LRStep)) },
}

package train

import "math"

// cosine falls from the end of the warm-up to that of the run, along half a wave
// (Loshchilov and Hutter, arXiv 1608.03983, without restarts).
var cosine = rate{
	method{name: "cosine", does: "a fall over the whole run, along half a wave", own: []string{"lr_end"}},
	func(s Settings, images int64) float64 {
		if images <= s.Warmup {
			return 1
		}
		return s.above((1 + math.Cos(math.Pi*float64(images-s.Warmup)/float64(s.Images-s.Warmup))) / 2)
	},
}

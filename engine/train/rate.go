package train

import "math"

// rate is how the learning rate goes on behind its warm-up: its share of the largest, at
// the step that begins after so many images. Another one is a value of this type and a
// line in the list.
type rate struct {
	method
	share func(s Settings, images int64) float64
}

var rates = []rate{linear, cosine, constant, inverseSqrt}

// linearName is the name of the schedule of runs that name none.
const linearName = "linear"

// linear is a plateau, and a fall to 0 over a share of the run at its end.
var linear = rate{
	method{
		name: linearName, does: "a plateau, and a fall at the end", own: []string{"decay"},
		defaults: func(s *Settings) { s.Decay = Default().Decay },
	},
	func(s Settings, images int64) float64 {
		if left := float64(s.Images-images) / float64(s.Images); s.Decay > 0 && left < s.Decay {
			return max(0, left/s.Decay)
		}
		return 1
	},
}

// cosine falls to 0 from the end of the warm-up to that of the run, along half a wave
// (Loshchilov and Hutter, arXiv 1608.03983, without restarts).
var cosine = rate{
	method{name: "cosine", does: "a fall over the whole run, along half a wave"},
	func(s Settings, images int64) float64 {
		if images <= s.Warmup {
			return 1
		}
		return (1 + math.Cos(math.Pi*float64(images-s.Warmup)/float64(s.Images-s.Warmup))) / 2
	},
}

var constant = rate{
	method{name: "constant", does: "a plateau"},
	func(Settings, int64) float64 { return 1 },
}

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

// learningRate at the step that begins after this many images: a linear rise, then what
// the schedule says.
func (s Settings) learningRate(images int64) float64 {
	lr := s.LR
	if s.Warmup > 0 {
		lr *= min(1, float64(images+int64(s.Batch))/float64(s.Warmup))
	}
	for _, r := range rates {
		if r.name == s.LRSchedule {
			return lr * r.share(s, images)
		}
	}
	return lr * linear.share(s, images)
}

// learningRate of a run: each stage is as a run of its own.
func (r *run) learningRate(images int64) float64 {
	s, stage := r.settings, r.stageAt(images)
	s.Images = stage.end - stage.begin
	return r.calmed() * s.learningRate(images-stage.begin)
}

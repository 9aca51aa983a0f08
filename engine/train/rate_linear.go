package train

// linear is a plateau, and a fall at the end of the run: over a share of it, or over so
// many images.
var linear = rate{
	method{
		name: linearName, does: "a plateau, and a fall at the end", own: []string{"decay", "lr_end"},
		defaults: func(s *Settings) { s.Decay = Default().Decay },
	},
	func(s Settings, images int64) float64 {
		decay := s.Decay
		if decay > 1 { // images; a stage may have fewer
			decay = min(1, decay/float64(s.Images))
		}
		if left := float64(s.Images-images) / float64(s.Images); decay > 0 && left < decay {
			return s.above(max(0, left/decay))
		}
		return 1
	},
}

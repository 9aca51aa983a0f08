package train

import (
	"errors"
	"math"
	"testing"
)

// TestLearningRates against closed forms, at steps in the warm-up, behind it, and at the
// end of runs.
func TestLearningRates(t *testing.T) {
	const images, warmup, batch, lr = 1000, 100, 10, 0.02
	for _, c := range []struct {
		schedule string
		at       int64
		want     float64 // share of lr
	}{
		{"linear", 0, 0.1}, {"linear", 40, 0.5}, {"linear", 90, 1}, {"linear", 750, 1}, {"linear", 875, 0.5}, {"linear", 990, 0.04},
		{"cosine", 40, 0.5}, {"cosine", 100, 1}, {"cosine", 325, 0.5 + math.Sqrt2/4}, {"cosine", 550, 0.5}, {"cosine", 775, 0.5 - math.Sqrt2/4},
		{"cosine", 990, math.Pow(math.Sin(math.Pi/180), 2)}, // sin²(½π·10/900)
		{"constant", 40, 0.5}, {"constant", 100, 1}, {"constant", 990, 1},
		{"inverse-sqrt", 40, 0.5}, {"inverse-sqrt", 200, 1}, {"inverse-sqrt", 450, 2.0 / 3}, {"inverse-sqrt", 800, 0.5},
	} {
		s := Settings{LRSchedule: c.schedule, LR: lr, Images: images, Batch: batch, Warmup: warmup}
		switch c.schedule {
		case "linear":
			s.Decay = 0.25
		case "inverse-sqrt":
			s.LRRef = 200
		}
		if got := s.learningRate(c.at); math.Abs(got-lr*c.want) > 1e-15 {
			t.Errorf("%s after %d images: %v, want %v", c.schedule, c.at, got, lr*c.want)
		}
	}
	for _, warmup := range []int64{100, 200} {
		s := Settings{LRSchedule: "cosine", LR: 1, Images: 100, Batch: 10, Warmup: warmup}
		for at := int64(0); at < 100; at += 10 {
			if got, want := s.learningRate(at), float64(at+10)/float64(warmup); math.Abs(got-want) > 1e-15 {
				t.Errorf("a run that is all warm-up has the rate %v after %d images, want %v", got, at, want)
			}
		}
	}
}

// TestRatesOfPyTorch: the same as schedulers of PyTorch and diffusers (scripts/rates.py),
// whose warm-up is one step behind.
func TestRatesOfPyTorch(t *testing.T) {
	at := []int64{0, 4, 9, 10, 29, 30, 55, 75, 90, 99}
	rising := []float64{0.002, 0.01, 0.02}
	for name, c := range map[string]struct {
		s    Settings
		want []float64
	}{
		"constant_with_warmup": {Settings{LRSchedule: "constant", Warmup: 100}, append(rising, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02)},
		"linear":               {Settings{LRSchedule: "linear", Warmup: 100, Decay: 900}, append(rising, 0.02, 0.0157777777778, 0.0155555555556, 0.01, 0.00555555555556, 0.00222222222222, 0.000222222222222)},
		"polynomial":           {Settings{LRSchedule: "linear", Warmup: 100, Decay: 0.9, LREnd: 1e-3}, append(rising, 0.02, 0.0159888888889, 0.0157777777778, 0.0105, 0.00627777777778, 0.00311111111111, 0.00121111111111)},
		"cosine":               {Settings{LRSchedule: "cosine", Warmup: 100}, append(rising, 0.02, 0.0178801075361, 0.0176604444312, 0.01, 0.00357212390313, 0.000603073792141, 6.09172980904e-06)},
		"CosineAnnealingLR":    {Settings{LRSchedule: "cosine", LREnd: 1e-3}, []float64{0.02, 0.0199250896625, 0.0196227900139, 0.0195350369048, 0.0163226170097, 0.0160839598968, 0.00901387258212, 0.00378248557873, 0.0014649630952, 0.00100468767653}},
		"StepLR":               {Settings{LRSchedule: "step", LRStep: 300, LRGamma: 0.5}, []float64{0.02, 0.02, 0.02, 0.02, 0.02, 0.01, 0.01, 0.005, 0.0025, 0.0025}},
	} {
		c.s.LR, c.s.Images, c.s.Batch = 0.02, 1000, 10
		for i, step := range at {
			if got := c.s.learningRate(10 * step); math.Abs(got-c.want[i]) > 1e-11*c.want[i] {
				t.Errorf("%s, step %d: %v, want %v", name, step, got, c.want[i])
			}
		}
	}
}

// TestDecayOfAStage: a stage that is shorter than its decay falls from its beginning on.
func TestDecayOfAStage(t *testing.T) {
	s := Settings{LRSchedule: "linear", LR: 1, Images: 100, Batch: 10, Decay: 200}
	for at := int64(0); at < 100; at += 10 {
		if got, want := s.learningRate(at), 1-float64(at)/100; math.Abs(got-want) > 1e-15 {
			t.Errorf("after %d images %v, want %v", at, got, want)
		}
	}
}

// TestScheduleSettings: what belongs to a schedule is as it has it, and refused beside others.
func TestScheduleSettings(t *testing.T) {
	to := func(name string) Settings {
		s := small()
		s.LRSchedule = name
		return s.Switched(small(), nothing)
	}
	for _, r := range rates {
		if err := to(r.name).Validate(); err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
	}
	if s := to("inverse-sqrt"); s.Decay != 0 || s.LRRef != s.Images/10 {
		t.Errorf("inverse-sqrt has decay %v, lr_ref %v", s.Decay, s.LRRef)
	}
	if s := to("step"); s.Decay != 0 || s.LRStep != s.Images/3 || s.LRGamma != 0.1 {
		t.Errorf("step has decay %v, lr_step %v, lr_gamma %v", s.Decay, s.LRStep, s.LRGamma)
	}
	for _, c := range []struct {
		key, schedule string
		change        func(*Settings)
	}{
		{"decay", "cosine", func(s *Settings) { s.Decay = 0.3 }},
		{"decay", "linear", func(s *Settings) { s.Decay = 1.5 }},
		{"decay", "linear", func(s *Settings) { s.Decay = float64(s.Images) + 1 }},
		{"lr_ref", "inverse-sqrt", func(s *Settings) { s.LRRef = 0 }},
		{"lr_step", "step", func(s *Settings) { s.LRStep = 0 }},
		{"lr_gamma", "step", func(s *Settings) { s.LRGamma = 0 }},
		{"lr_gamma", "step", func(s *Settings) { s.LRGamma = 2 }},
		{"lr_end", "cosine", func(s *Settings) { s.LREnd = 2 * s.LR }},
		{"lr_end", "constant", func(s *Settings) { s.LREnd = s.LR / 2 }},
		{"lr_schedule", "cosinus", func(*Settings) {}},
	} {
		bad := to(c.schedule)
		c.change(&bad)
		var e *SettingError
		if err := bad.Validate(); !errors.As(err, &e) || e.Key != c.key {
			t.Errorf("%s of %s: %v", c.key, c.schedule, err)
		}
	}
}

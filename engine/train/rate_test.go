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

// TestScheduleSettings: decay belongs to linear and lr_ref to inverse-sqrt.
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
	for key, bad := range map[string]Settings{"decay": to("cosine"), "lr_ref": to("inverse-sqrt"), "lr_schedule": to("cosinus")} {
		switch key {
		case "decay":
			bad.Decay = 0.3
		case "lr_ref":
			bad.LRRef = 0
		}
		var e *SettingError
		if err := bad.Validate(); !errors.As(err, &e) || e.Key != key {
			t.Errorf("%s: %v", key, err)
		}
	}
}

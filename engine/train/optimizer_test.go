package train

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/engine/model"
	"fluxion/nets/safetensors"
)

// nothing is what a user says who says nothing.
func nothing(string) bool { return false }

// withSGD is a run of SGD.
func withSGD() Settings {
	s := small()
	s.Optimizer, s.Nesterov, s.LR = "sgd", true, 0.05
	s.SampleCount = 0
	return s.Switched(small(), func(key string) bool { return key == "nesterov" })
}

// TestSwitched: what belongs to one method alone goes with it, what the user said stays,
// and what means nothing is refused.
func TestSwitched(t *testing.T) {
	s := withSGD()
	if s.Beta1 != 0 || s.Beta2 != 0 || s.Epsilon != 0 || s.Momentum != 0.9 || !s.Nesterov {
		t.Errorf("SGD has betas %v and %v, epsilon %v, momentum %v, Nesterov %t", s.Beta1, s.Beta2, s.Epsilon, s.Momentum, s.Nesterov)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	if same := s.Switched(s, nothing); same != s {
		t.Error("settings whose methods are as before are others")
	}
	back := s
	back.Optimizer = "adamw"
	if back = back.Switched(s, nothing); back.Beta1 != 0.9 || back.Momentum != 0 || back.Nesterov || back.Validate() != nil {
		t.Errorf("back to AdamW: %+v, %v", back, back.Validate())
	}
	said := small()
	said.Optimizer, said.Momentum, said.Beta1 = "sgd", 0, 0.5
	said = said.Switched(small(), func(key string) bool { return key == "momentum" || key == "beta1" })
	if said.Momentum != 0 || said.Beta1 != 0.5 {
		t.Errorf("what was said has become momentum %v, beta1 %v", said.Momentum, said.Beta1)
	}
	for key, change := range map[string]func(*Settings){
		"beta1":     func(s *Settings) { *s = said },
		"momentum":  func(s *Settings) { *s = small(); s.Momentum = 0.9 },
		"nesterov":  func(s *Settings) { s.Momentum = 0 },
		"optimizer": func(s *Settings) { s.Optimizer = "adam" },
		"epsilon":   func(s *Settings) { *s = small(); s.Epsilon = 0 },
	} {
		bad := withSGD()
		change(&bad)
		var e *SettingError
		if err := bad.Validate(); !errors.As(err, &e) || e.Key != key {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestSGDResumes: a run of SGD that is stopped goes on to the bit; its checkpoint names
// the velocity; it does not go on as a run of AdamW.
func TestSGDResumes(t *testing.T) {
	s := withSGD()
	s.Images, s.CheckpointEvery = 32, 16
	whole, cut := t.TempDir(), t.TempDir()
	o, _ := options(t, s, whole)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := files(t, whole)

	o, rec := options(t, s, cut)
	ctx, cancel := context.WithCancel(t.Context())
	rec.onSave = cancel
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	other := small()
	other.Images, other.SampleCount = s.Images, 0
	o.Settings = other
	var changed *ChangedError
	if _, err := Run(t.Context(), o); !errors.As(err, &changed) || !strings.Contains(err.Error(), "optimizer was sgd, now adamw") {
		t.Errorf("another optimizer: %v", err)
	}
	o.Settings, rec.onSave = s, nil
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	same(t, files(t, cut), want)

	newest, err := model.Newest(whole)
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(newest, model.TrainingDir, model.OptimizerFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if i := slices.IndexFunc(f.Tensors, func(t safetensors.Tensor) bool { return !strings.HasPrefix(t.Name, "momentum.") }); i >= 0 {
		t.Errorf("the optimizer of SGD has %s", f.Tensors[i].Name)
	}
}

package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
)

// TestUncertainty: a run with it learns it, shows the loss that it is, and goes on to
// the bit; who cannot have it is told.
func TestUncertainty(t *testing.T) {
	s := small()
	s.Data, s.Preset, s.Size = "toy:moons", "mlp", data.Size{}
	s.Images, s.Batch, s.Accumulate, s.CheckpointEvery, s.SampleCount = 96, 16, 2, 48, 0
	train := func(s Settings, stops bool) string {
		dir := t.TempDir()
		o, rec := options(t, s, dir)
		ctx, cancel := context.WithCancel(t.Context())
		if stops {
			rec.onSave = cancel
			if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			rec.onSave = nil
		}
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		cancel()
		return dir
	}
	plain := train(s, false)
	s.Uncertainty = true
	learnt := train(s, false)
	want := files(t, learnt)
	same(t, files(t, train(s, true)), want)
	newest, err := model.Newest(learnt)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(newest, model.TrainingDir, "uncertainty.json")); err != nil || !strings.Contains(string(text), `"steps":6`) {
		t.Errorf("%.60s, %v", text, err)
	}
	loss := func(dir string) float64 {
		c, err := model.Checkpoints(dir)
		if err != nil {
			t.Fatal(err)
		}
		state, err := readState(filepath.Join(c[len(c)-1].Path, model.TrainingDir, stateFile), c[len(c)-1].Images)
		if err != nil {
			t.Fatal(err)
		}
		return state.Loss
	}
	if a, b := loss(plain), loss(learnt); a == b || math.Abs(a-b) > 0.5 {
		t.Errorf("the loss is %v with it and %v without", b, a)
	}
	for key, change := range map[string]func(*Settings){
		"uncertainty": func(s *Settings) { s.Objective = "shortcut" },
		"objective":   func(s *Settings) { s.TimeSampler, s.Weighting = "adaptive", "elbo" },
	} {
		bad := s
		change(&bad)
		var e *SettingError
		if _, err := NewObjective(bad, nil); !errors.As(err, &e) || e.Key != key {
			t.Errorf("%s: %v", key, err)
		}
	}
}

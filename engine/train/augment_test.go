package train

import (
	"context"
	"errors"
	"testing"

	"fluxion/data"
)

// TestAugment: a run with augmentation goes on to the bit, from whatever micro-batches; the
// network has a weight more, and samples without labels.
func TestAugment(t *testing.T) {
	s := small()
	s.Size, s.Images, s.Batch, s.CheckpointEvery, s.SampleCount, s.Augment, s.Flip = data.Square(8), 32, 8, 16, 2, "edm:p=0.8", true
	train := func(s Settings, stops bool) map[string][]byte {
		dir := t.TempDir()
		o, rec := options(t, s, dir)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
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
		return files(t, dir)
	}
	want := train(s, false)
	same(t, train(s, true), want)
	bad := s
	bad.Data, bad.Preset, bad.Size, bad.Flip = "toy:moons", "mlp", data.Size{}, false
	var e *SettingError
	o, _ := options(t, bad, t.TempDir())
	if _, err := Run(t.Context(), o); !errors.As(err, &e) || e.Key != "augment" {
		t.Errorf("points: %v", err)
	}
}

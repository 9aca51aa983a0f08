package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fluxion/engine/model"
)

// A model says whether it ever saw an image without its label, also where labels
// were dropped for a part of the run only.
func TestUntrainedClass(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	decaying := withSGD()
	decaying.WeightDecay = 1e-3
	for name, base := range map[string]Settings{"adamw": small(), "sgd": withSGD(), "sgd with weight decay": decaying} {
		t.Run(name, func(t *testing.T) { testUntrainedClass(t, base) })
	}
}

func testUntrainedClass(t *testing.T, base Settings) {
	train := func(dir string, images int64, drop float64) *model.Model {
		t.Helper()
		s := base
		s.Images, s.LabelDrop, s.SampleCount = images, drop, 0
		o, _ := options(t, s, dir)
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		m, err := model.Read(dir, model.EMA)
		if err != nil || !m.Guided {
			t.Fatalf("guided is %v, %v", m.Guided, err)
		}
		return m
	}
	never, first, later := t.TempDir(), t.TempDir(), t.TempDir()
	if m := train(never, 40, 0); !m.Untrained {
		t.Error("no label was dropped, and the model does not say so")
	}
	train(first, 40, 0.5) // the first steps train the last layers alone
	if m := train(first, 80, 0); m.Untrained {
		t.Error("labels were dropped in the beginning only: untrained")
	}
	train(later, 40, 0)
	if m := train(later, 80, 0.5); m.Untrained {
		t.Error("labels were dropped at the end only: untrained")
	}
	// A folder without the optimizer's state does not tell.
	root, err := model.Newest(never)
	if err == nil {
		err = os.Remove(filepath.Join(root, model.TrainingDir, model.OptimizerFile))
	}
	m, failed := model.Read(never, model.EMA)
	if err = errors.Join(err, failed); err != nil || m.Untrained {
		t.Errorf("without the optimizer: untrained %v, %v", m.Untrained, err)
	}
}

// The digest is that of what makes the images.
func TestDigest(t *testing.T) {
	s := small()
	s.Images, s.SampleCount = 16, 0
	digests := map[string]string{}
	for name, change := range map[string]func(*Settings){
		"a": func(*Settings) {}, "again": func(*Settings) {},
		"seed": func(s *Settings) { s.Seed++ }, "shift": func(s *Settings) { s.Shift = 2 },
	} {
		s := s
		change(&s)
		dir := t.TempDir()
		o, _ := options(t, s, dir)
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		for _, weights := range []string{model.EMA, model.Raw} {
			m, err := model.Read(dir, weights)
			if err != nil {
				t.Fatal(err)
			}
			digests[name+" "+weights] = m.Digest()
		}
	}
	if digests["a ema"] != digests["again ema"] || digests["a raw"] != digests["again raw"] {
		t.Error("two runs of the same bits have two digests")
	}
	seen := map[string]string{}
	for name, d := range digests {
		if other := seen[d]; other != "" && name != "again ema" && name != "again raw" && other != "again ema" && other != "again raw" {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[d] = name
	}
}

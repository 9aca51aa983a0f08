package train

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fluxion/data"
	"fluxion/engine/model"
)

// TestKilled: runs of each way to begin, and of stages, that are killed between two
// checkpoints come to the same bits as those that are not.
func TestKilled(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"bridge":   func(s *Settings) { s.Bridge = "brownian:sigma=0.5" },
		"laplace":  func(s *Settings) { s.Source = "laplace" },
		"unpaired": func(s *Settings) { s.Data, s.Source, s.Coupling = "unpaired:toy:moons,toy:grid", "data", "ot" },
		"Schrödinger": func(s *Settings) {
			s.Data, s.Source, s.Bridge, s.Output, s.Coupling = "unpaired:toy:moons,toy:grid", "data", "brownian:sigma=0.5", "x", "sinkhorn:reg=0.5"
		},
		"spectrum": func(s *Settings) { images(s); s.Source = "spectrum:1" },
		"I²SB": func(s *Settings) {
			images(s)
			s.Data, s.Source = pairedFolders(t, 3), "data"
			s.Schedule, s.Output, s.Bridge = "i2sb", "i2sb", "brownian:sigma=0.376"
		},
		"concat":            func(s *Settings) { images(s); s.Data = pairedFolders(t, 1) },
		"middle of a stage": func(s *Settings) { *s = taught(t); s.SampleCount = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s := points()
			s.SampleCount = 0
			change(&s)
			s.CheckpointEvery = 4 * int64(s.Batch)
			whole, killed := t.TempDir(), filepath.Join(t.TempDir(), "run")
			train := func(dir string, hooks ...Hook) {
				t.Helper()
				o, _ := options(t, s, dir)
				o.Hooks = hooks
				if _, err := Run(context.Background(), o); err != nil {
					t.Fatal(err)
				}
			}
			at := 6 * int64(s.Batch)
			train(whole, Hook{Name: "copies", Every: 1, After: func(_ context.Context, p Progress) error {
				if p.Images != at {
					return nil
				}
				for all, err := model.Checkpoints(p.Dir); len(all) == 0; all, err = model.Checkpoints(p.Dir) { // it is written beside the loop
					if err != nil {
						return err
					}
					time.Sleep(time.Millisecond)
				}
				return os.CopyFS(killed, os.DirFS(p.Dir))
			}})
			if all, err := model.Checkpoints(killed); err != nil || len(all) != 1 || all[0].Images >= at {
				t.Fatalf("the kill leaves %v, %v", all, err)
			}
			train(killed)
			same(t, files(t, killed), files(t, whole))
		})
	}
}

// images makes a run one of small images.
func images(s *Settings) {
	small := small()
	s.Data, s.Preset, s.Size, s.Batch, s.Images = small.Data, small.Preset, data.Square(8), 4, 32
}

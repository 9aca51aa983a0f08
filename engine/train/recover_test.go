package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
	"fluxion/engine/rundir"
)

// diverging is a hook after which a run is no number any more where its learning rate is
// above a limit after so many images.
func diverging(images int64, limit float64) Hook {
	return Hook{Name: "diverging", Check: func(p Progress) error {
		if p.Images >= images && p.LR > limit {
			return &NotFiniteError{Images: p.Images, Loss: math.NaN(), Norm: math.Inf(1)}
		}
		return nil
	}}
}

// TestRecover: a run that diverges goes back to its last good checkpoint with half the
// learning rate, as often as it may; a run that is stopped on the way ends with the same
// bits; one that may not any more ends with the error.
func TestRecover(t *testing.T) {
	s := small()
	s.Data, s.Preset, s.Size = "toy:moons", "mlp", data.Size{}
	s.Images, s.Batch, s.CheckpointEvery, s.SampleCount, s.Warmup, s.LRSchedule, s.Decay, s.LR = 128, 16, 32, 0, 0, "constant", 0, 1e-3
	s.Recover = 2
	train := func(s Settings, stop int64, dir string) error {
		o, _ := options(t, s, dir)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o.Hooks = []Hook{diverging(80, 3e-4), {Name: "cut", Every: 1, After: func(_ context.Context, p Progress) error {
			if p.Images == stop {
				cancel()
			}
			return nil
		}}}
		_, err := Run(ctx, o)
		return err
	}
	whole, cut, few := t.TempDir(), t.TempDir(), t.TempDir()
	if err := train(s, 0, whole); err != nil {
		t.Fatal(err)
	}
	newest, err := model.Newest(whole)
	if err != nil {
		t.Fatal(err)
	}
	state, err := readState(filepath.Join(newest, model.TrainingDir, stateFile), 128)
	if err != nil || state.Recovered != 2 || state.Steps != 8 {
		t.Errorf("%+v, %v", state, err)
	}
	if err := train(s, 112, cut); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := train(s, 0, cut); err != nil {
		t.Fatal(err)
	}
	same(t, files(t, cut), files(t, whole))

	s.Recover = 1
	var diverged *NotFiniteError
	if err := train(s, 0, few); !errors.As(err, &diverged) {
		t.Errorf("once is not enough: %v", err)
	}
	if log, err := os.ReadFile(filepath.Join(few, "log.txt")); err != nil || !strings.Contains(string(log), "with 0.5 of the learning rate (--recover: 1 of 1)") {
		t.Errorf("the log does not say it: %s", log)
	}
	s.CheckpointEvery = 0
	if err := train(s, 0, t.TempDir()); !errors.As(err, &diverged) {
		t.Errorf("without a checkpoint: %v", err)
	}
}

// TestRecoverFirstGrid: a run that begins anew has the grid before the first step still.
func TestRecoverFirstGrid(t *testing.T) {
	s := brief()
	s.LRSchedule, s.Decay, s.Warmup, s.LR, s.Recover = "constant", 0, 0, 1e-3, 2
	o, _ := options(t, s, t.TempDir())
	o.Hooks = []Hook{diverging(12, 3e-4)}
	train(t, o)
	for _, images := range []int64{0, 16, 32} {
		if _, err := os.Stat(filepath.Join(o.Dir, "samples", rundir.GridName(images))); err != nil {
			t.Error(err)
		}
	}
}

// fragile is a short run whose learning rate is constant, with a checkpoint every 16 images.
func fragile() Settings {
	s := small()
	s.Data, s.Preset, s.Size = "toy:moons", "mlp", data.Size{}
	s.Images, s.Batch, s.CheckpointEvery, s.SampleCount, s.Warmup, s.LRSchedule, s.Decay, s.LR = 80, 8, 16, 0, 0, "constant", 0, 1e-3
	s.TimeSampler, s.Weighting = "adaptive", "fm" // which checkpoints keep
	return s
}

// ruining makes weights as large as they can be while they are finite, after a step of a
// learning rate above a limit. The next step's loss is none.
func ruining(images int64, limit float64) Hook {
	return Hook{Name: "ruining", Every: 1, After: func(_ context.Context, p Progress) error {
		if p.Images != images || p.LR <= limit {
			return nil
		}
		b := p.Trainer.Buffers.Parameters
		huge := slices.Repeat([]float32{math.MaxFloat32}, b.Size/4)
		return errors.Join(p.Trainer.Memory.Write(b, 0, huge), p.Trainer.Refresh())
	}}
}

// copying copies the run folder, as a kill leaves it, when a step has a learning rate.
func copying(to string, images int64, lr float64) Hook {
	return Hook{Name: "copying", Every: 1, After: func(_ context.Context, p Progress) error {
		if p.Images != images || p.LR != lr {
			return nil
		}
		return os.CopyFS(to, os.DirFS(p.Dir))
	}}
}

// TestRecoverBehindRuin: where weights were ruined before the newest checkpoint, the run
// goes back behind it; a kill on the way comes to the same end.
func TestRecoverBehindRuin(t *testing.T) {
	s := fragile()
	s.Recover = 2
	whole, killed := t.TempDir(), filepath.Join(t.TempDir(), "run")
	train := func(dir string, hooks ...Hook) {
		t.Helper()
		o, _ := options(t, s, dir)
		o.Hooks = append(hooks, ruining(32, 3e-4))
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	train(whole, copying(killed, 24, s.LR/4))
	log, err := os.ReadFile(filepath.Join(whole, "log.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"checkpoints/32 with 0.5 of the learning rate (--recover: 1 of 2)", "checkpoints/16 with 0.25 of the learning rate (--recover: 2 of 2)"} {
		if !strings.Contains(string(log), want) {
			t.Errorf("the log does not say %q: %s", want, log)
		}
	}
	if all, err := model.Checkpoints(killed); err != nil || len(all) != 1 || all[0].Images != 16 {
		t.Fatalf("a kill behind image 24 leaves %v, %v", all, err)
	}
	train(killed)
	same(t, files(t, killed), files(t, whole))
}

// TestRecoverAnew: a run that diverges before its first checkpoint begins anew, as one whose
// learning rate is half as large from the start on, and the teacher's weights or random ones.
func TestRecoverAnew(t *testing.T) {
	begun := t.TempDir()
	o, _ := options(t, fragile(), begun)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, init := range []string{"", begun} {
		s := fragile()
		s.CheckpointEvery, s.Recover, s.Init = 48, 1, init
		diverged, killed, half := t.TempDir(), filepath.Join(t.TempDir(), "run"), t.TempDir()
		train := func(dir string, s Settings, hooks ...Hook) map[string][]byte {
			t.Helper()
			o, _ := options(t, s, dir)
			o.Hooks = hooks
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			all := files(t, dir)
			delete(all, "training/state.json")
			return all
		}
		got := train(diverged, s, ruining(24, 6e-4), copying(killed, 16, s.LR/2))
		same(t, train(killed, s, ruining(24, 6e-4)), got)
		s.LR /= 2
		same(t, train(half, s), got)
	}
}

// TestRecoverBehindAStage: a run may go back over the end of its first stage, which then
// learns from the teacher again.
func TestRecoverBehindAStage(t *testing.T) {
	s := taught(t)
	s.Batch, s.CheckpointEvery, s.SampleCount, s.Recover = 8, 24, 0, 1
	train := func(dir string, stop int64) error {
		o, _ := options(t, s, dir)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o.Hooks = []Hook{{Name: "diverging", Check: func(p Progress) error {
			if p.Images == 40 && p.LR > 0.75*s.LR {
				return &NotFiniteError{Images: p.Images, Loss: math.NaN(), Norm: math.Inf(1)}
			}
			return nil
		}}, {Name: "cut", Every: 1, After: func(_ context.Context, p Progress) error {
			if p.Images == stop {
				cancel()
			}
			return nil
		}}}
		_, err := Run(ctx, o)
		return err
	}
	whole, cut := t.TempDir(), t.TempDir()
	if err := train(whole, 0); err != nil {
		t.Fatal(err)
	}
	if log, err := os.ReadFile(filepath.Join(whole, "log.txt")); err != nil || strings.Count(string(log), "stage 1 ends after 32 images") != 2 {
		t.Errorf("the first stage does not end twice: %v\n%s", err, log)
	}
	if err := train(cut, 56); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := train(cut, 0); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"stages/32", "checkpoints/160"} {
		same(t, files(t, filepath.Join(cut, part)), files(t, filepath.Join(whole, part)))
	}
}

// TestRecoverAdvice: what a run that diverged may try is not what it has tried.
func TestRecoverAdvice(t *testing.T) {
	if text := (&NotFiniteError{}).Error(); !strings.Contains(text, "or --recover may help") {
		t.Error(text)
	}
	if text := (&NotFiniteError{Tried: 2}).Error(); !strings.Contains(text, "--recover is used up (2); a lower lr or a longer warmup may help") {
		t.Error(text)
	}
}

package train

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"fluxion/data/durable"
	"fluxion/engine/model"
	"fluxion/nets"
)

// taught are settings of a run that distils a teacher in three stages, of 32, 64 and 64 images.
func taught(t *testing.T) Settings {
	t.Helper()
	s := points()
	s.SampleCount, s.CheckpointEvery = 0, 0
	teacher := t.TempDir()
	o, _ := options(t, s, teacher)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	s.Teacher, s.Init, s.Objective, s.Images = teacher, teacher, "progressive:from=8,to=1", 160
	s.SampleCount, s.SampleEvery = 4, 32
	return s
}

// TestStages: a student that is stopped before, at, and behind the ends of stages ends with
// the same bits, and each stage leaves a model that says how many steps it takes.
func TestStages(t *testing.T) {
	s := taught(t)
	whole, cut := t.TempDir(), t.TempDir()
	o, _ := options(t, s, whole)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	for _, images := range []int64{16, 32, 48, 96, 144, 160} {
		o, _ := options(t, s, cut)
		ctx, stop := context.WithCancel(context.Background())
		o.Hooks = []Hook{{Name: "stops", Every: 1, After: func(_ context.Context, p Progress) error {
			if p.Images == images && !p.Last {
				stop()
			}
			return nil
		}}}
		_, err := Run(ctx, o)
		if stopped := images < 160; stopped != (err != nil) {
			t.Fatal(images, err)
		}
	}
	for images, steps := range map[string]int{"stages/32": 4, "stages/96": 2, "checkpoints/160": 1} {
		same(t, files(t, filepath.Join(cut, images)), files(t, filepath.Join(whole, images)))
		m, err := model.Read(filepath.Join(whole, images), model.EMA)
		if err != nil || m.Few == nil || m.Few.Steps != steps || m.Few.Sampler != "ddim" {
			t.Errorf("%s: %+v, %v", images, m.Few, err)
		}
	}
	// What a run left here that was killed before its first checkpoint is no stage of this one.
	stale := t.TempDir()
	if err := os.CopyFS(filepath.Join(stale, "stages", "32"), os.DirFS(filepath.Join(s.Teacher, "checkpoints", "256"))); err != nil {
		t.Fatal(err)
	}
	o, _ = options(t, s, stale)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	same(t, files(t, filepath.Join(stale, "checkpoints/160")), files(t, filepath.Join(whole, "checkpoints/160")))
	s.Images = 320
	o, _ = options(t, s, cut)
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "images was 160, now 320") {
		t.Errorf("a run of other stages goes on: %v", err)
	}
}

// TestStagesOnFullDisk: a disk that does not take the model of a stage for a while ends
// nothing: the run goes on, writes it before the next checkpoint, and ends with the bits
// of another.
func TestStagesOnFullDisk(t *testing.T) {
	s := taught(t)
	s.SampleCount, s.CheckpointEvery = 0, 64
	whole := t.TempDir()
	o, _ := options(t, s, whole)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	o, rec := options(t, s, filepath.Join(t.TempDir(), "run"))
	var full atomic.Bool // checkpoints are written beside the loop
	o.Disk = durable.Disk{Sync: func(path string) error {
		if full.Load() {
			return &fs.PathError{Op: "sync", Path: path, Err: syscall.ENOSPC}
		}
		return durable.Sync(path)
	}}
	o.Hooks = []Hook{{Name: "fills the disk", Every: 1, After: func(_ context.Context, p Progress) error {
		full.Store(p.Images == 32)
		return nil
	}}}
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(rec.notes, func(text string) bool { return strings.Contains(text, "no model of stage 1 after 32 images") }) {
		t.Errorf("notes %q", rec.notes)
	}
	for _, dir := range []string{"stages/32", "stages/96", "checkpoints/160"} {
		same(t, files(t, filepath.Join(o.Dir, dir)), files(t, filepath.Join(whole, dir)))
	}
}

// TestAlike: what is left out in training is no other network; another width is.
func TestAlike(t *testing.T) {
	network := func(preset string, dropout float64) nets.Network {
		n, err := Network(preset, nets.Spec{Height: 8, Width: 8, Channels: 1, Dropout: dropout})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	plain := network("micro", 0)
	if !alike(network("micro", 0.1), plain) || !alike(plain, network("micro", 0.1)) || alike(network("tiny", 0), plain) {
		t.Error("micro is not what it is without dropout, or is tiny")
	}
}

// TestTeacherIsReadOnce: from the look at its settings until its weights lie on the device
// a teacher may be gone.
func TestTeacherIsReadOnce(t *testing.T) {
	s := taught(t)
	s.Images, s.SampleCount = 160, 0
	o, _ := options(t, s, t.TempDir())
	var err error
	if o.Objective, err = NewObjective(s, o.Data); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.Teacher, s.Teacher+" elsewhere"); err != nil {
		t.Fatal(err)
	}
	s.Preset = "mlp"
	o.Settings = s
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
}

// TestTeacher: who cannot teach is refused in one line, and so is another teacher later.
func TestTeacher(t *testing.T) {
	s := taught(t)
	for want, change := range map[string]func(*Settings){
		"want --teacher MODEL": func(s *Settings) { s.Teacher = "" },
		"anew with each stage": func(s *Settings) { s.EMA, s.EMASnapshotEvery = powers(.05), 16 },
		"learns from none":     func(s *Settings) { s.Objective = "denoising" },
		"have 0, 1":            func(s *Settings) { s.Teacher = other(t, "toy:pinwheel") },
		"want powers of two":   func(s *Settings) { s.Objective = "progressive:from=12" },
		"not a step of 16":     func(s *Settings) { s.Images = 48 },
		"tells nothing":        func(s *Settings) { s.Output = "eps" },
		"there is no such":     func(s *Settings) { s.Teacher = filepath.Join(t.TempDir(), "nowhere") },
		"is for a teacher":     func(s *Settings) { s.Teacher, s.TeacherGuidance, s.Objective = "", 2, "denoising" },
	} {
		s := s
		change(&s)
		o, _ := options(t, s, t.TempDir())
		if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	dir := t.TempDir()
	first := s
	first.Images = 160
	o, _ := options(t, first, dir)
	ctx, stop := context.WithCancel(context.Background())
	o.Hooks = []Hook{{Name: "stops", Every: 1, After: func(context.Context, Progress) error { stop(); return nil }}}
	if _, err := Run(ctx, o); err == nil {
		t.Fatal("the run was not stopped")
	}
	more := points()
	more.Images, more.SampleCount, more.CheckpointEvery = 272, 0, 0
	o, _ = options(t, more, s.Teacher)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	o, _ = options(t, first, dir)
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "another teacher") {
		t.Errorf("the teacher has gone on: %v", err)
	}
}

// other is a model of other data.
func other(t *testing.T, data string) string {
	t.Helper()
	s := points()
	s.Data, s.Images, s.SampleCount, s.CheckpointEvery = data, 16, 0, 0
	dir := t.TempDir()
	o, _ := options(t, s, dir)
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestStageAt: rates and counts begin anew with each stage.
func TestStageAt(t *testing.T) {
	s := taught(t)
	o, err := NewObjective(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.LRSchedule, s.Warmup = "cosine", 0
	r := &run{settings: s, objective: o}
	var rates []float64
	for images := int64(0); images < 160; images += 16 {
		rates = append(rates, r.learningRate(images)/s.LR)
	}
	if rates[0] != 1 || rates[2] != 1 || rates[6] != 1 || !slices.IsSortedFunc(rates[2:6], func(a, b float64) int { return cmp.Compare(b, a) }) {
		t.Errorf("rates %v", rates)
	}
	if h := r.hyper(State{Images: 96, Steps: 6}); h.Count != 1 {
		t.Errorf("the first step of a stage is the optimizer's %d", h.Count)
	}
}

// TestObjectivesResume: runs of objectives of several networks go on to the bit.
func TestObjectivesResume(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	for name, c := range map[string]struct {
		objective string
		taught    bool
	}{"training": {"consistency", false}, "distillation": {"consistency:stages=3", true},
		"flow map": {"flowmap:predicted=1,warmup=0.5", false}, "shortcut": {"shortcut", false}, "lagrangian, taught": {"lagrangian", true},
	} {
		before := taught(t)
		s := before
		s.Objective = c.objective
		if name == "training" {
			s.Loss, s.Target = "huber:c=0.03", "ema"
		}
		if s = s.Switched(before, func(string) bool { return false }); s.TimeScale != before.TimeScale {
			s.Init = "" // the teacher is told another time
		}
		if !c.taught {
			s.Teacher = ""
		}
		whole, cut := t.TempDir(), t.TempDir()
		s.CheckpointEvery = 64
		o, _ := options(t, s, whole)
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(name, err)
		}
		o, _ = options(t, s, cut)
		ctx, stop := context.WithCancel(context.Background())
		o.Hooks = []Hook{{Name: "stops", Every: 64, After: func(context.Context, Progress) error { stop(); return nil }}}
		if _, err := Run(ctx, o); err == nil {
			t.Fatal(name, "was not stopped")
		}
		o, _ = options(t, s, cut)
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(name, err)
		}
		same(t, files(t, cut), files(t, whole))
	}
}

package train

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/data/durable/durabletest"
	"fluxion/engine/model"
	"fluxion/engine/rundir"
)

// brief is a run of a second that saves and draws often.
func brief() Settings {
	s := small()
	s.Size, s.Batch, s.Images, s.CheckpointEvery, s.SampleEvery, s.SampleCount, s.Keep = data.Square(8), 4, 32, 8, 16, 2, 3
	return s
}

// train runs to the end.
func train(t *testing.T, o Options) {
	t.Helper()
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// copied is a copy of a folder.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestFailedSyncs fails every sync of a run in turn. What could not be saved is
// noted and saved later; the run ends with the bits of one on a sound disk, or says
// which file could not be written.
func TestFailedSyncs(t *testing.T) {
	s := brief()
	s.Images, s.SampleCount = 16, 0
	o, rec := options(t, s, t.TempDir())
	train(t, o)
	want := files(t, o.Dir)
	stride := 1
	if testing.Short() {
		stride = 6
	}
	failed, whole := 0, false
	for n := 0; !whole; n += stride {
		rec.notes = nil
		o.Dir, o.Disk = filepath.Join(t.TempDir(), "run"), durabletest.Failing(n)
		_, err := Run(t.Context(), o)
		noted := slices.ContainsFunc(rec.notes, func(text string) bool { return strings.Contains(text, "checkpoint "+o.Dir) })
		whole = err == nil && rec.notes == nil
		switch {
		case err != nil && (!errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), o.Dir)):
			t.Errorf("sync %d: %v", n, err)
		case err == nil:
			same(t, files(t, o.Dir), want)
		}
		if noted {
			failed++
		}
		if n > 200 {
			t.Fatal("no end")
		}
	}
	if failed < 3 {
		t.Errorf("%d checkpoints failed", failed)
	}
}

// TestBrokenDisk: a disk that is well no more ends the run with the reason, and the
// checkpoints that it holds stay.
func TestBrokenDisk(t *testing.T) {
	s := brief()
	s.SampleCount = 0
	o, rec := options(t, s, t.TempDir())
	broken := false
	o.Disk = durable.Disk{Sync: func(path string) error {
		if broken {
			return &fs.PathError{Op: "sync", Path: path, Err: syscall.EIO}
		}
		return nil
	}}
	rec.onSave = func() { broken = true }
	_, err := Run(t.Context(), o)
	var unsaved *UnsavedError
	if !errors.As(err, &unsaved) || !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), filepath.Join(o.Dir, model.CheckpointsDir, "32")) {
		t.Errorf("the run ends with %v", err)
	}
	all, err := model.Checkpoints(o.Dir)
	if err != nil || len(all) == 0 || all[len(all)-1].Images != rec.checkpoints[len(rec.checkpoints)-1] {
		t.Errorf("checkpoints %v, announced %v, %v", all, rec.checkpoints, err)
	}
	o.Disk = durable.Disk{}
	train(t, o)
}

// TestPowerLoss takes the power away when a checkpoint is announced: it is there, and
// the run that goes on from it ends with the bits of one that was left alone.
func TestPowerLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := brief()
	root := t.TempDir()
	o, rec := options(t, s, filepath.Join(root, "run"))
	power := durabletest.NewPower(t)
	o.Disk = power.Disk()
	var left []string
	rec.onSave = func() {
		for _, loss := range durabletest.Losses {
			to := filepath.Join(t.TempDir(), "left")
			power.Lose(root, to, loss)
			all, err := model.Checkpoints(filepath.Join(to, "run"))
			if err != nil || len(all) == 0 || all[len(all)-1].Images < rec.checkpoints[len(rec.checkpoints)-1] {
				t.Errorf("loss of %v: %v of %v, %v", loss, all, rec.checkpoints, err)
			}
			left = append(left, filepath.Join(to, "run"))
		}
	}
	train(t, o)
	want := files(t, o.Dir)
	rec.onSave, o.Disk = nil, durable.Disk{}
	for _, dir := range left {
		o.Dir = dir
		train(t, o)
		same(t, files(t, dir), want)
	}
}

// failing is a data set that cannot be read.
type failing struct{ data.Dataset }

func (f failing) Read(int, *data.Example) error {
	return &data.Error{Path: "broken.png", Problem: "is damaged"}
}

// snapshotOf is all files of a folder.
func snapshotOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestFreshThatFails: a run that is to begin anew and does not come to a checkpoint
// leaves the old one as it was; one that does removes what this program wrote, no more.
func TestFreshThatFails(t *testing.T) {
	s := brief()
	o, _ := options(t, s, t.TempDir())
	train(t, o)
	mine := []string{filepath.Join(o.Dir, model.CheckpointsDir, "best.pt"), filepath.Join(o.Dir, rundir.SamplesDir, "mine.png"), filepath.Join(o.Dir, "notes.txt")}
	for _, path := range mine {
		if err := os.WriteFile(path, []byte("mine"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	before := snapshotOf(t, o.Dir)
	fresh := o
	fresh.Fresh = true
	fresh.Settings.Seed = 77
	for name, spoil := range map[string]func(*Options){
		"setting": func(o *Options) { o.Settings.Batch = 0 },
		"data":    func(o *Options) { o.Data = failing{o.Data} },
		"disk":    func(o *Options) { o.Disk = durabletest.Failing(3) },
	} {
		o := fresh
		spoil(&o)
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
		same(t, snapshotOf(t, o.Dir), before)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, fresh); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped at once: %v", err)
	}
	same(t, snapshotOf(t, o.Dir), before)
	if res, err := Run(t.Context(), o); err != nil || !res.AlreadyRun {
		t.Errorf("the old run: %+v, %v", res, err)
	}
	fresh.Settings.Images, fresh.Settings.SampleCount = 8, 0
	train(t, fresh)
	for _, path := range mine {
		if text, err := os.ReadFile(path); string(text) != "mine" {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
	grids, err := os.ReadDir(filepath.Join(o.Dir, rundir.SamplesDir))
	all, listed := model.Checkpoints(o.Dir)
	if err := errors.Join(err, listed); err != nil || len(grids) != 1 || len(all) != 1 || all[0].Images != 8 {
		t.Errorf("the fresh run left %v and %v, %v", grids, all, err)
	}
}

// TestSettingsOfCheckpoint: without config.json, the checkpoint says what the run is;
// where it does not either, nobody can know.
func TestSettingsOfCheckpoint(t *testing.T) {
	o, rec := options(t, brief(), t.TempDir())
	train(t, o)
	if err := os.Remove(filepath.Join(o.Dir, rundir.ConfigFile)); err != nil {
		t.Fatal(err)
	}
	other := o
	other.Settings.Seed = 5
	var changed *ChangedError
	if _, err := Run(t.Context(), other); !errors.As(err, &changed) || !strings.Contains(err.Error(), "seed was 1, now 5") {
		t.Errorf("another seed: %v", err)
	}
	o.Settings.Images = 40
	train(t, o)
	if len(rec.start.Changes) != 1 {
		t.Errorf("changes %v", rec.start.Changes)
	}
	if err := os.Remove(filepath.Join(o.Dir, rundir.ConfigFile)); err != nil {
		t.Fatal(err)
	}
	all, err := model.Checkpoints(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if err := os.Remove(filepath.Join(c.Path, rundir.SettingsFile)); err != nil {
			t.Fatal(err)
		}
	}
	var folder *rundir.Error
	if _, err := Run(t.Context(), o); !errors.As(err, &folder) {
		t.Errorf("no settings anywhere: %v", err)
	}
}

// TestFolderOfBefore: a folder that an earlier version wrote, whose checkpoints have
// no settings and no time, goes on to the bit.
func TestFolderOfBefore(t *testing.T) {
	o, rec := options(t, brief(), t.TempDir())
	train(t, o)
	want := files(t, o.Dir)
	for _, n := range []int64{16, 24} {
		dir := filepath.Join(o.Dir, model.CheckpointsDir, strconv.FormatInt(n, 10), model.TrainingDir)
		if err := os.Remove(filepath.Join(dir, filepath.Base(rundir.SettingsFile))); err != nil {
			t.Fatal(err)
		}
		damage(t, filepath.Join(dir, stateFile), func(data []byte) []byte {
			return []byte(strings.Replace(elapsed.ReplaceAllString(string(data), ""), ",\n  \n", "\n", 1))
		})
		if state, err := os.ReadFile(filepath.Join(dir, stateFile)); strings.Contains(string(state), "elapsed") {
			t.Fatal(string(state), err)
		}
	}
	if err := os.RemoveAll(filepath.Join(o.Dir, model.CheckpointsDir, "32")); err != nil {
		t.Fatal(err)
	}
	train(t, o)
	if rec.start.Images != 24 || len(rec.start.Changes) != 0 {
		t.Errorf("went on after %d images with changes %v", rec.start.Images, rec.start.Changes)
	}
	same(t, files(t, o.Dir), want)
}

// TestFolderGone: a run folder that is removed ends the run at its next write; its
// state is saved beside it, and goes on from there to the bit.
func TestFolderGone(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := brief()
	o, _ := options(t, s, filepath.Join(t.TempDir(), "whole"))
	train(t, o)
	want := files(t, o.Dir)
	for _, part := range []string{"", rundir.StatsFile, model.CheckpointsDir, rundir.ConfigFile} {
		o, rec := options(t, s, filepath.Join(t.TempDir(), "run"))
		rec.onSave = func() {
			rec.onSave = nil
			if err := os.RemoveAll(filepath.Join(o.Dir, part)); err != nil {
				t.Error(err)
			}
		}
		_, err := Run(t.Context(), o)
		var gone *rundir.GoneError
		if !errors.As(err, &gone) || gone.Rescued != o.Dir+"-rescued" || strings.Count(err.Error(), "removed or replaced") != 1 {
			t.Errorf("%q removed: %v", part, err)
			continue
		}
		if _, err := os.Stat(o.Dir); part == "" && err == nil {
			t.Error("the folder was made again")
		}
		o.Dir = gone.Rescued
		train(t, o)
		if rec.start.Images == 0 {
			t.Errorf("%q removed: the rescued run begins at 0", part)
		}
		same(t, files(t, o.Dir), want)
	}
}

// TestMissingGrids: a grid that was due at the checkpoint from which a run goes on, and
// that a kill or a signal skipped, is made.
func TestMissingGrids(t *testing.T) {
	o, rec := options(t, brief(), t.TempDir())
	train(t, o)
	for _, c := range []struct{ from, grid int64 }{{0, 32}, {16, 16}} {
		path := filepath.Join(o.Dir, rundir.SamplesDir, rundir.GridName(c.grid))
		want, err := os.ReadFile(path)
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		o.From, rec.grids = c.from, nil
		train(t, o)
		if got, err := os.ReadFile(path); string(got) != string(want) || !slices.Contains(rec.grids, path) {
			t.Errorf("grid %d: %d bytes, %v; made %v", c.grid, len(got), err, rec.grids)
		}
	}
}

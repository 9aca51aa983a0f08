package rundir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/engine/model"
)

// TestLinks: checkpoints that lie elsewhere are those of the run.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	run, other := filepath.Join(dir, "run"), filepath.Join(dir, "other")
	if err := errors.Join(os.Mkdir(run, 0o777), os.Mkdir(other, 0o777), os.Symlink(other, filepath.Join(run, model.CheckpointsDir))); err != nil {
		t.Fatal(err)
	}
	if err := lives(quick, run, "a", 0, 20, false); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(dir, "elsewhere")
	twenty := filepath.Join(run, model.CheckpointsDir, "20")
	if err := errors.Join(os.Rename(twenty, elsewhere), os.Symlink(elsewhere, twenty)); err != nil {
		t.Fatal(err)
	}
	if newest, err := model.Newest(run); err != nil || newest != twenty {
		t.Errorf("newest is %s, %v", newest, err)
	}
	if got := look(t, run); got != "a10 a20" {
		t.Errorf("found %s", got)
	}
	if err := lives(quick, run, "b", 0, 10, true); err != nil {
		t.Fatal(err)
	}
	if got := look(t, run); got != "b10" {
		t.Errorf("a fresh run left %s", got)
	}
	if got := read(t, filepath.Join(elsewhere, "unet", "weights")); got != "a20" {
		t.Errorf("what the link led to holds %q", got)
	}
	if err := os.Rename(other, other+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := model.Checkpoints(run); err == nil || !strings.Contains(err.Error(), "link") {
		t.Errorf("a link that leads nowhere: %v", err)
	}
}

// TestNameTaken: a checkpoint is saved when its own bytes lie there.
func TestNameTaken(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	d, err := Open(run, false, quick)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Begin([]byte("a"), 0); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(run, model.CheckpointsDir, "10")
	if err := os.MkdirAll(filepath.Dir(taken), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, take := range map[string]func() error{
		"file":   func() error { return os.WriteFile(taken, nil, 0o666) },
		"folder": func() error { return os.Mkdir(taken, 0o777) },
		"link":   func() error { return os.Symlink("nowhere", taken) },
	} {
		if err := take(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Save(10, weights("a", 10)); err == nil || !strings.Contains(err.Error(), taken) {
			t.Errorf("over a %s: %v", name, err)
		}
		if err := os.Remove(taken); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if path, err := d.Save(10, weights("a", 10)); err != nil || path != taken {
			t.Errorf("saved to %s, %v", path, err)
		}
	}
}

// TestGone: a folder that is removed or replaced during a run, or a part of it, is
// noticed at the next write, and the state is saved beside it.
func TestGone(t *testing.T) {
	for name, remove := range map[string]func(run string) error{
		"removed": os.RemoveAll,
		"moved":   func(run string) error { return os.Rename(run, run+".moved") },
		"replaced": func(run string) error {
			return errors.Join(os.Rename(run, run+".old"), os.CopyFS(run, os.DirFS(run+".old")))
		},
		"lock":        func(run string) error { return os.Remove(filepath.Join(run, LockFile)) },
		"config":      func(run string) error { return os.Remove(filepath.Join(run, ConfigFile)) },
		"statistics":  func(run string) error { return os.Remove(filepath.Join(run, StatsFile)) },
		"log":         func(run string) error { return os.Remove(filepath.Join(run, LogFile)) },
		"checkpoints": func(run string) error { return os.RemoveAll(filepath.Join(run, model.CheckpointsDir)) },
	} {
		run := filepath.Join(t.TempDir(), "run")
		d, err := Open(run, false, quick)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Begin([]byte("a"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Save(10, weights("a", 10)); err != nil {
			t.Fatal(err)
		}
		if err := d.Check(); err != nil {
			t.Fatal(err)
		}
		if err := remove(run); err != nil {
			t.Fatal(err)
		}
		var gone *GoneError
		if err := d.Status([]byte("{}")); !errors.As(err, &gone) {
			t.Errorf("%s: a status: %v", name, err)
		}
		if _, err := d.Save(20, weights("a", 20)); !errors.As(err, &gone) {
			t.Errorf("%s: a checkpoint: %v", name, err)
		}
		for _, want := range []string{run + "-rescued", run + "-rescued-2"} {
			if path, err := d.Rescue(20, weights("a", 20)); err != nil || path != want {
				t.Errorf("%s: rescued in %s, %v", name, path, err)
			}
			if got := look(t, want); got != "a20" {
				t.Errorf("%s: rescued %s", name, got)
			}
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s: closing: %v", name, err)
		}
	}
}

// TestStatistics: lines of any length are kept, up to the images of the checkpoint.
func TestStatistics(t *testing.T) {
	path := filepath.Join(t.TempDir(), StatsFile)
	long := fmt.Sprintf(`{"note":%q,"images":5}`, strings.Repeat("x", 1<<20))
	text := "{\"images\":4}\n" + long + "\n\x00\x00\n{\"images\":6}\r\n{\"images\":7}\n{\"images\":3"
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := keepStats(path, 6)
	if want := "{\"images\":4}\n" + long + "\n{\"images\":6}\n"; err != nil || string(got) != want {
		t.Errorf("kept %d bytes, want %d, %v", len(got), len(want), err)
	}
}

package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"fluxion/data/durable"
	"fluxion/data/durable/durabletest"
	"fluxion/engine/model"
)

// weights writes a checkpoint of a run with this name.
func weights(run string, images int64) func(dir string) error {
	return func(dir string) error {
		if err := os.Mkdir(filepath.Join(dir, "unet"), 0o777); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "unet", "weights"), fmt.Append(nil, run, images), 0o666)
	}
}

// lives is a run from one image to another, with a grid and a checkpoint at each
// step of ten.
func lives(disk durable.Disk, path, run string, from, to int64, fresh bool) (err error) {
	d, err := Open(path, fresh, disk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Begin([]byte(run), from); err != nil {
		return err
	}
	if err := disk.MkdirAll(filepath.Join(path, SamplesDir)); err != nil {
		return err
	}
	for images := from + 10; images <= to; images += 10 {
		line, _ := json.Marshal(map[string]any{"images": images, "run": run})
		err := d.Status(line)
		if err == nil {
			err = disk.WriteFile(filepath.Join(path, SamplesDir, GridName(images)), []byte(run))
		}
		if err == nil {
			_, err = d.Save(images, weights(run, images))
		}
		if err == nil {
			err = d.Tidy(2)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// quick is a disk for what is only looked at.
var quick = durable.Disk{Sync: func(string) error { return nil }}

// look opens a run folder as the next process does, and describes what it holds. What
// is half there fails the test.
func look(t *testing.T, path string) string {
	t.Helper()
	d, err := Open(path, false, quick)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	all, err := model.Checkpoints(path)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	run := ""
	for _, c := range all {
		text := read(t, filepath.Join(c.Path, "unet", "weights"))
		settings := read(t, filepath.Join(c.Path, SettingsFile))
		if run = strings.TrimRight(text, "0123456789"); text != run+strconv.FormatInt(c.Images, 10) || settings != run {
			t.Errorf("checkpoint %s holds %q, settings %q", c.Path, text, settings)
		}
		seen = append(seen, text)
	}
	err = filepath.WalkDir(path, func(path string, e os.DirEntry, err error) error {
		if name := e.Name(); strings.HasPrefix(name, ".") && name != LockFile {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return strings.Join(seen, " ")
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

// others are files that the program did not write.
var others = []string{model.CheckpointsDir + "/best.pt", SamplesDir + "/mine.png", "notes.txt", model.CheckpointsDir + "/007/x"}

// TestPowerLoss takes the power away before every sync and every rename of a run,
// of one that begins anew over it, and of one that goes back to an earlier
// checkpoint. What was announced is there afterwards: the old run as a whole, or the new.
func TestPowerLoss(t *testing.T) {
	root := t.TempDir()
	run := filepath.Join(root, "run")
	power := durabletest.NewPower(t)
	disk := power.Disk()
	var allowed map[string]bool
	losses, calls, mine := 0, 0, false
	lose := func() {
		if calls++; testing.Short() && calls%5 != 0 {
			return
		}
		for _, loss := range durabletest.Losses {
			to := filepath.Join(t.TempDir(), "left")
			power.Lose(root, to, loss)
			if got := look(t, filepath.Join(to, "run")); !allowed[got] {
				t.Errorf("loss of %v: left %q, want one of %v", loss, got, allowed)
			}
			for _, name := range others {
				if _, err := os.Stat(filepath.Join(to, "run", name)); err != nil && mine {
					t.Errorf("loss of %v: %v", loss, err)
				}
			}
			losses++
		}
	}
	step := func(name string, fresh bool, from int64, before, after string) {
		t.Helper()
		allowed = map[string]bool{before: true, after: true}
		power.Each = lose
		if err := lives(disk, run, name, from, from+10, fresh); err != nil {
			t.Fatal(err)
		}
		power.Each = func() {}
		allowed = map[string]bool{after: true}
		lose()
	}
	step("a", false, 0, "", "a10")
	for _, name := range others {
		path := filepath.Join(run, name)
		if err := errors.Join(disk.MkdirAll(filepath.Dir(path)), disk.WriteFile(path, []byte("mine"))); err != nil {
			t.Fatal(err)
		}
	}
	mine = true
	step("a", false, 10, "a10", "a10 a20")
	allowed = map[string]bool{"a10 a20": true, "a10 a20 a30": true, "a20 a30": true}
	power.Each = lose
	if err := lives(disk, run, "a", 20, 30, false); err != nil {
		t.Fatal(err)
	}
	step("b", true, 0, "a20 a30", "b10")
	if got := read(t, filepath.Join(run, StatsFile)); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"b"`) {
		t.Errorf("statistics of the new run: %s", got)
	}
	if _, err := os.Stat(filepath.Join(run, SamplesDir, GridName(20))); err == nil {
		t.Error("a grid of the old run is left")
	}
	if err := lives(disk, run, "b", 10, 30, false); err != nil {
		t.Fatal(err)
	}
	// b20 b30 are there; going back to 20 makes b30 anew, by the same name.
	allowed = map[string]bool{"b20 b30": true}
	power.Each = lose
	if err := lives(disk, run, "b", 20, 30, false); err != nil {
		t.Fatal(err)
	}
	lose()
	if losses < 300 && !testing.Short() {
		t.Errorf("the power was lost %d times", losses)
	}
}

// TestFailedSync fails every sync of a run that begins anew, in turn: the run that was
// there stays, or the new one takes its place, and the error says which checkpoint.
func TestFailedSync(t *testing.T) {
	saved := false
	for n := 0; !saved; n++ {
		run := filepath.Join(t.TempDir(), "run")
		if err := lives(quick, run, "a", 0, 20, false); err != nil {
			t.Fatal(err)
		}
		err := lives(durabletest.Failing(n), run, "b", 0, 10, true)
		saved = err == nil
		switch got := look(t, run); {
		case !saved && !errors.Is(err, syscall.EIO):
			t.Fatalf("sync %d: %v", n, err)
		case strings.Contains(fmt.Sprint(err), "checkpoint ") && got != "a10 a20":
			t.Errorf("sync %d: %v, and left %s", n, err, got)
		case got != "a10 a20" && got != "b10", saved && got != "b10":
			t.Errorf("sync %d left %s, %v", n, got, err)
		}
		if n > 100 {
			t.Fatal("no end")
		}
	}
}

// TestNoCheckpoint: a run that begins anew and ends before its first checkpoint
// leaves everything as it was.
func TestNoCheckpoint(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	if err := lives(quick, run, "a", 0, 20, false); err != nil {
		t.Fatal(err)
	}
	before := tree(t, run)
	if err := lives(quick, run, "b", 0, 0, true); err != nil {
		t.Fatal(err)
	}
	if err := lives(quick, run, "a", 10, 10, false); err != nil {
		t.Fatal(err)
	}
	after := tree(t, run)
	delete(after, LogFile) // tells of the second, which went on from it
	delete(before, LogFile)
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("was %v\nis  %v", before, after)
	}
	fresh := filepath.Join(filepath.Dir(run), "unused")
	d, err := Open(fresh, false, quick)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(fresh); err == nil {
		t.Error("a folder that was not used is left")
	}
}

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(dir, path)
			all[name] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRecover: who reads a run before it is opened sees the one that comes back.
func TestRecover(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	if err := Recover(run, quick); err != nil {
		t.Fatal(err)
	}
	if err := lives(quick, run, "a", 0, 20, false); err != nil {
		t.Fatal(err)
	}
	d, err := Open(run, true, quick)
	if err == nil {
		err = d.Begin([]byte("b"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(t.TempDir(), "run")
	if err := errors.Join(Recover(run, quick), os.CopyFS(killed, os.DirFS(run)), d.Close()); err != nil {
		t.Fatal(err)
	}
	if all, err := model.Checkpoints(killed); err != nil || len(all) > 0 {
		t.Fatal(all, err)
	}
	if err := Recover(killed, quick); err != nil {
		t.Fatal(err)
	}
	if all, err := model.Checkpoints(killed); err != nil || len(all) != 2 || read(t, filepath.Join(killed, ConfigFile)) != "a" {
		t.Error(all, err)
	}
}

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

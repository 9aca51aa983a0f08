package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"fluxion/data/durable"
	"fluxion/data/durable/durabletest"
	"fluxion/engine/average"
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

// TestPipesAndLongStatistics: a pipe in the place of what a run appends to is refused,
// not waited for; statistics may be of any length.
func TestPipesAndLongStatistics(t *testing.T) {
	for _, name := range []string{StatsFile, LogFile} {
		dir := filepath.Join(t.TempDir(), "run")
		if err := errors.Join(os.Mkdir(dir, 0o777), durabletest.Pipe(filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
		var folder *Error
		if err := lives(durable.Disk{}, dir, "run", 0, 10, false); !errors.As(err, &folder) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is a pipe: %v", name, err)
		}
	}
	dir := filepath.Join(t.TempDir(), "run")
	if err := lives(durable.Disk{}, dir, "run", 0, 30, false); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, StatsFile), 40<<20); err != nil {
		t.Fatal(err)
	}
	if err := lives(durable.Disk{}, dir, "again", 20, 40, false); err != nil {
		t.Errorf("long statistics: %v", err)
	}
}

// lives is a run from one image to another, with a grid, a snapshot and a checkpoint at
// each step of ten.
func lives(disk durable.Disk, path, run string, from, to int64, fresh bool) (err error) {
	d, err := Open(path, fresh, disk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Begin([]byte(run), from); err != nil {
		return err
	}
	return steps(d, run, from, to, 2)
}

// steps are those of a run that has begun, of which so many checkpoints stay.
func steps(d *Dir, run string, from, to int64, keep int) error {
	disk, path := d.disk, d.Path
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
			err = d.Snapshot(average.Profile{Images: images, Sigma: 0.1}, func(w io.Writer) error {
				_, err := io.WriteString(w, run)
				return err
			})
		}
		if err == nil {
			_, err = d.Save(images, weights(run, images))
		}
		if err == nil {
			err = d.Tidy(keep)
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
	snapshots, err := average.List(d.file(average.Dir))
	if err != nil {
		t.Fatal(err)
	}
	at := map[int64]bool{}
	for _, p := range snapshots {
		if text := read(t, d.snapshot(p)); run != "" && text != run {
			t.Errorf("a snapshot after %d images is of run %q, the checkpoint of %q", p.Images, text, run)
		}
		at[p.Images] = true
	}
	for _, c := range all {
		if !at[c.Images] && len(snapshots) > 0 { // a run that was rescued has none
			t.Errorf("there is no snapshot of checkpoint %s", c.Path)
		}
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
var others = []string{model.CheckpointsDir + "/best.pt", model.CheckpointsDir + "/1234", SamplesDir + "/mine.png", "notes.txt", model.CheckpointsDir + "/007/x"}

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

// TestRewindPowerLoss takes the power away before every sync and every rename of a run that
// goes back by itself: to an earlier checkpoint, to one before that, and to its beginning.
// All that was there is, or the new checkpoint in the place of those later than it went
// back to. Without one all is as it was, but for the log, which goes on.
func TestRewindPowerLoss(t *testing.T) {
	const was = "a10 a20 a30"
	for _, c := range []struct {
		back []int64
		is   string
	}{
		{[]int64{20, 10}, "a10 a20"}, {[]int64{10, 0}, "a10"},
	} {
		root := t.TempDir()
		run := filepath.Join(root, "run")
		power := durabletest.NewPower(t)
		goes := func(disk durable.Disk, on bool) {
			t.Helper()
			d, err := Open(run, false, disk)
			if err == nil {
				err = d.Begin([]byte("a"), 30)
			}
			for i, images := range c.back {
				if i > 0 && err == nil { // what it does before it goes back again
					err = disk.WriteFile(filepath.Join(run, SamplesDir, GridName(c.back[i-1]+10)), []byte("grid"))
				}
				if err == nil {
					err = d.Rewind(images)
				}
			}
			if last := c.back[len(c.back)-1]; err == nil && on {
				err = steps(d, "a", last, last+10, 10)
			}
			if err = errors.Join(err, d.Close()); err != nil {
				t.Fatal(err)
			}
		}
		d, err := Open(run, false, power.Disk())
		if err == nil {
			err = d.Begin([]byte("a"), 0)
		}
		if err == nil {
			err = errors.Join(steps(d, "a", 0, 30, 10), d.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		before := tree(t, run)
		goes(quick, false)
		after := tree(t, run)
		if log := after[LogFile]; !strings.HasPrefix(log, before[LogFile]) || log == before[LogFile] {
			t.Errorf("back to %d: the log was\n%sand is\n%s", c.back, before[LogFile], log)
		}
		after[LogFile] = before[LogFile]
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("back to %d: was %v\nis  %v", c.back, before, after)
		}
		calls := 0
		power.Each = func() {
			if calls++; testing.Short() && calls%5 != 0 {
				return
			}
			for _, loss := range durabletest.Losses {
				to := filepath.Join(t.TempDir(), "left")
				power.Lose(root, to, loss)
				if got := look(t, filepath.Join(to, "run")); got != was && got != c.is {
					t.Errorf("back to %d, loss of %v: left %q, want %q or %q", c.back, loss, got, was, c.is)
				}
			}
		}
		goes(power.Disk(), true)
		if got := look(t, run); got != c.is {
			t.Errorf("back to %d: %s, want %s", c.back, got, c.is)
		}
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

// TestSnapshotsStay: tidying leaves all snapshots; those of steps that are run again are
// dropped, and what is no snapshot is left alone.
func TestSnapshotsStay(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	if err := lives(quick, run, "a", 0, 50, false); err != nil {
		t.Fatal(err)
	}
	d, err := Open(run, false, quick)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	late := average.Profile{Images: 70, Sigma: 0.05}
	mine := filepath.Join(run, average.Dir, "000000070.safetensors")
	if err := errors.Join(d.Snapshot(late, func(io.Writer) error { return nil }), os.WriteFile(mine, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := d.Begin([]byte("a"), 50); err != nil {
		t.Fatal(err)
	}
	all, err := average.List(filepath.Join(run, average.Dir))
	if err != nil || len(all) != 5 || all[0].Images != 10 || all[4].Images != 50 || d.HasSnapshot(late) || !d.HasSnapshot(all[0]) {
		t.Errorf("left are %v (%v)", all, err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
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

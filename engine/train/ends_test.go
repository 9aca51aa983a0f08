package train

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluxion/data"
	"fluxion/engine/model"
	"fluxion/engine/rundir"
)

// broken is a data set one of whose pictures cannot be decoded.
type broken struct {
	data.Dataset
	index int
}

func (b broken) Read(i int, e *data.Example) error {
	if i == b.index {
		return &data.Error{Path: "broken.png", Problem: "is not a picture; leave it out with --skip-broken"}
	}
	return b.Dataset.Read(i, e)
}

func logOf(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, rundir.LogFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// write makes an empty file.
func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Error(err)
	}
}

func saved(t *testing.T, dir string) (images []int64) {
	t.Helper()
	all, err := model.Checkpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		images = append(images, c.Images)
	}
	return images
}

// TestDataErrorSaves: the steps before a broken picture are saved, and what the
// message advises goes on, to the bits of a run that was begun in that way.
func TestDataErrorSaves(t *testing.T) {
	for _, accumulate := range []int{1, 2} {
		if testing.Short() && accumulate == 1 {
			continue
		}
		s := small()
		s.Accumulate, s.CheckpointEvery = accumulate, 0
		dir := t.TempDir()
		o, rec := options(t, s, dir)
		o.Data = broken{o.Data, data.Order(s.Seed, 0, o.Data.Len(), 45)} // within the sixth step
		res, err := Run(context.Background(), o)
		if bad := (*data.Error)(nil); !errors.As(err, &bad) || res.Images != 40 {
			t.Fatalf("%+v, %v", res, err)
		}
		if got := saved(t, dir); !slices.Equal(got, []int64{40}) {
			t.Errorf("checkpoints %v", got)
		}
		if text := logOf(t, dir); !strings.Contains(text, "ended after 40 images: broken.png: is not a picture") {
			t.Errorf("the log says %s", text)
		}
		o.Settings.SkipBroken = true
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{logOf(t, dir), strings.Join(rec.notes, "\n")} {
			if strings.Count(text, "broken.png cannot be read and is left out") != 1 {
				t.Errorf("of what was left out it is said: %s", text)
			}
		}
		o.Dir = t.TempDir()
		if _, err := Run(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		same(t, files(t, dir), files(t, o.Dir))
	}
}

// TestLeftOutAtLast: what was left out behind the last status is named where the run is
// stopped, before the log says why it ended.
func TestLeftOutAtLast(t *testing.T) {
	s := brief()
	s.SkipBroken, s.CheckpointEvery, s.SampleCount = true, 0, 0
	o, rec := options(t, s, t.TempDir())
	o.Data = broken{o.Data, data.Order(s.Seed, 0, o.Data.Len(), 22)}
	ctx, cancel := context.WithCancel(t.Context())
	o.Hooks = []Hook{{Name: "stop at it", Every: 24, After: func(context.Context, Progress) error { cancel(); return nil }}}
	if res, err := Run(ctx, o); !errors.Is(err, context.Canceled) || res.Images != 24 {
		t.Fatalf("%+v, %v", res, err)
	}
	const named = "broken.png cannot be read and is left out"
	text := logOf(t, o.Dir)
	if at := strings.Index(text, named); at < 0 || at > strings.Index(text, "ended after 24 images") || strings.Count(strings.Join(rec.notes, "\n"), named) != 1 {
		t.Errorf("the log says %s; the user was told %q", text, rec.notes)
	}
}

// TestFullForAWhile: a disk that takes no checkpoint, no grid and no statistics for
// a while ends nothing.
func TestFullForAWhile(t *testing.T) {
	s := small()
	dir := t.TempDir()
	o, rec := options(t, s, dir)
	away := map[string]bool{}
	rec.onStart = func() { // files where folders should be
		write(t, filepath.Join(dir, model.CheckpointsDir))
		write(t, filepath.Join(dir, rundir.SamplesDir))
	}
	rec.onNote = func(text string) {
		for what, name := range map[string]string{"no checkpoint": model.CheckpointsDir, "no grid": rundir.SamplesDir} {
			if strings.HasPrefix(text, what) && !away[name] {
				away[name] = true
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if got := saved(t, dir); !slices.Equal(got, []int64{48, 72, 96}) || len(rec.grids) != 2 || len(rec.notes) != 2 {
		t.Errorf("checkpoints %v, grids %v, notes %q", got, rec.grids, rec.notes)
	}
	if text := logOf(t, dir); !strings.Contains(text, "no checkpoint after 24 images") || !strings.Contains(text, "no grid after 0 images") || !strings.Contains(text, "done: 96 images") {
		t.Errorf("the log says %s", text)
	}
}

// TestSavedAtLast: steps whose checkpoint failed are saved when the run ends early;
// where that fails, too, the error says so.
func TestSavedAtLast(t *testing.T) {
	for _, mended := range []bool{true, false} {
		s := small()
		dir := t.TempDir()
		o, rec := options(t, s, dir)
		path := filepath.Join(dir, model.CheckpointsDir)
		rec.onStart = func() { write(t, path) }
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		rec.onNote = func(string) {
			if mended {
				if err := os.Remove(path); err != nil {
					t.Error(err)
				}
			}
			rec.onNote = nil
			cancel(cause)
		}
		res, err := Run(ctx, o)
		unsaved := (*UnsavedError)(nil)
		if !errors.Is(err, cause) || errors.As(err, &unsaved) == mended {
			t.Errorf("mended %v: %v", mended, err)
		}
		if mended && !slices.Equal(saved(t, dir), []int64{res.Images}) {
			t.Errorf("ended after %d images with checkpoints %v", res.Images, saved(t, dir))
		}
		if text := logOf(t, dir); !strings.Contains(text, "ended after") || !strings.Contains(text, "enough") {
			t.Errorf("the log says %s", text)
		}
	}
}

// TestNobodyReads: a run whose output is lost goes on, and its log says so once.
func TestNobodyReads(t *testing.T) {
	dir := t.TempDir()
	o, rec := options(t, small(), dir)
	rec.unread = syscall.EPIPE
	o.Origin = []string{"fluxion of the test", "command: train"}
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	text := logOf(t, dir)
	for _, part := range []string{"fluxion of the test", "command: train", "device: " + o.Device.Describe(), "done: 96 images"} {
		if !strings.Contains(text, part) {
			t.Errorf("the log has no %q: %s", part, text)
		}
	}
	if n := strings.Count(text, "broken pipe"); n != 1 {
		t.Errorf("the log says %d times that nobody reads: %s", n, text)
	}
}

// TestSaveNow: whoever asks gets a checkpoint and a grid of the next step.
func TestSaveNow(t *testing.T) {
	s := small()
	s.CheckpointEvery, s.SampleEvery = 0, 0
	o, rec := options(t, s, t.TempDir())
	requests := make(chan os.Signal, 1)
	requests <- syscall.SIGTERM // which one is the caller's affair
	o.SaveNow = requests
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rec.checkpoints, []int64{8, 96}) || len(rec.grids) != 2 || filepath.Base(rec.grids[0]) != "000000008.png" {
		t.Errorf("checkpoints %v, grids %v", rec.checkpoints, rec.grids)
	}
}

// TestTimesOfTheRun: the first step has a status; elapsed time goes on where a run
// is resumed; statistics say when.
func TestTimesOfTheRun(t *testing.T) {
	s := small()
	s.SampleCount = 0
	dir := t.TempDir()
	var first Result
	for _, images := range []int64{48, 96} {
		s.Images = images
		o, rec := options(t, s, dir)
		res, err := Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := rec.statuses[0].Images, rec.start.Images+int64(s.Batch); got != want {
			t.Errorf("the first status came after %d images, want %d", got, want)
		}
		if res.Seconds <= first.Seconds {
			t.Errorf("%g s after %d images, %g s before", res.Seconds, images, first.Seconds)
		}
		for _, status := range rec.statuses {
			if status.Elapsed.Seconds() <= first.Seconds {
				t.Errorf("elapsed %v in a run that took %g s before", status.Elapsed, first.Seconds)
			}
		}
		first = res
	}
	text, err := os.ReadFile(filepath.Join(dir, rundir.StatsFile))
	if err != nil {
		t.Fatal(err)
	}
	before, lines := 0.0, 0
	for scan := bufio.NewScanner(bytes.NewReader(text)); scan.Scan(); lines++ {
		var line struct {
			Time    time.Time
			Elapsed float64 `json:"elapsed_seconds"`
		}
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if since := time.Since(line.Time); line.Elapsed <= before || since < 0 || since > time.Hour {
			t.Errorf("%s after %g s", scan.Text(), before)
		}
		before = line.Elapsed
	}
	if lines < 4 {
		t.Errorf("%d lines of statistics", lines)
	}
}

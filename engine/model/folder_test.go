package model

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
		t.Fatal(err)
	}
}

func TestNewest(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	parent := filepath.Join(dir, CheckpointsDir)
	for _, name := range []string{"90", "800", ".incomplete-1000", "notes", "0900", "+950", "-1"} {
		if err := os.MkdirAll(filepath.Join(parent, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(parent, "2000"), "a file")
	if got, err := Newest(dir); err != nil || got != filepath.Join(parent, "800") {
		t.Errorf("the newest is %s, %v", got, err)
	}
	// Who moves checkpoints to another disk leaves links.
	if err := os.Symlink(elsewhere, filepath.Join(parent, "1000")); err != nil {
		t.Fatal(err)
	}
	if got, err := Newest(dir); err != nil || got != filepath.Join(parent, "1000") {
		t.Errorf("with a link, the newest is %s, %v", got, err)
	}
}

// TestLinkToNowhere: what a disk holds that is not mounted is not overlooked.
func TestLinkToNowhere(t *testing.T) {
	dir := t.TempDir()
	parent := filepath.Join(dir, CheckpointsDir)
	if err := errors.Join(os.MkdirAll(filepath.Join(parent, "90"), 0o777), os.Symlink("nowhere", filepath.Join(parent, "100"))); err != nil {
		t.Fatal(err)
	}
	if got, err := Newest(dir); err != nil || got != filepath.Join(parent, "100") {
		t.Errorf("the newest is %s, %v", got, err)
	}
	other := t.TempDir()
	if err := os.Symlink("nowhere", filepath.Join(other, CheckpointsDir)); err != nil {
		t.Fatal(err)
	}
	var link *LinkError
	if _, err := Checkpoints(other); !errors.As(err, &link) {
		t.Errorf("a link in the place of the folder: %v", err)
	}
}

func TestNoCheckpointYet(t *testing.T) {
	for _, c := range []struct {
		settings string
		first    int64 // 0: no run folder
	}{
		{`{"preset": "tiny", "images": 17000, "checkpoint_every": 5000}`, 5000},
		{`{"preset": "tiny", "images": 17000, "checkpoint_every": 0}`, 17000},
		{`{"preset": "tiny", "images": 17000, "checkpoint_every": 50000}`, 17000},
		{`{"_class_name": "UNet2DModel"}`, 0},
		{`{"preset":`, 0},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "config.json"), c.settings)
		_, err := Newest(dir)
		var none *NoCheckpointError
		if got := errors.As(err, &none); got != (c.first != 0) || got && none.First != c.first {
			t.Errorf("%s: %v", c.settings, err)
		}
	}
	if got, err := Newest("nowhere"); got != "nowhere" || err != nil {
		t.Errorf("no folder at all: %s, %v", got, err)
	}
}

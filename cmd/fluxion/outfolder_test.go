package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/machine"
)

// TestRunFolderInData: a run folder is never read as data, so that a run is not begun
// where the pictures are, however the folder is spelled; a new folder among them is fine.
func TestRunFolderInData(t *testing.T) {
	dir := images(t, t.TempDir())
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	class := filepath.Join(dir, "class")
	if err := os.Mkdir(class, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := os.Rename(filepath.Join(dir, e.Name()), filepath.Join(class, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	args := with(tiny, "--data", dir, "--images", "4", "--out")
	for _, out := range []string{dir, dir + "/", dir + "/class/..", link, class, filepath.Join(link, "class")} {
		_, code, err := fluxion(t, with(args, out)...)
		if err == nil || code != exitUsage || !strings.Contains(err.Error(), "--out "+out) {
			t.Errorf("--out %s: exit %d, %v; want %d", out, code, err, exitUsage)
		}
		if _, err := os.Stat(filepath.Join(out, "config.json")); err == nil {
			t.Errorf("--out %s: a run was begun", out)
		}
	}
	for range 2 { // the second resumes
		if _, _, err := fluxion(t, with(args, filepath.Join(dir, "runs", "1"))...); err != nil {
			t.Error(err)
		}
	}
}

// TestOutIsNoFolder: an --out that can be no folder is a wrong value in every command.
func TestOutIsNoFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte("kept"), 0o666), os.Symlink("nowhere", link)); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{file, filepath.Join(file, "in"), link, filepath.Join(dir, strings.Repeat("a", 300))} {
		for _, args := range [][]string{with(tiny, "--images", "4"), {"sample", "--model", dir, "--count", "1"}, {"figures"}} {
			if _, code, err := fluxion(t, with(args, "--out", out)...); err == nil || code != exitUsage || !strings.Contains(err.Error(), "--out "+out) {
				t.Errorf("%s --out %s: exit %d, %v; want %d", args[0], out, code, err, exitUsage)
			}
		}
	}
	if text, err := os.ReadFile(file); string(text) != "kept" {
		t.Error("the file was changed", err)
	}
}

// TestForeignFolder: no command writes into a folder that holds other things and nothing of
// its own; it goes on in one of its own, whatever lies beside.
func TestForeignFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	t.Setenv(machine.BlockingsVariable, "off")
	run := filepath.Join(t.TempDir(), "run")
	if _, _, err := fluxion(t, with(tiny, "--images", "4", "--sample-count", "0", "--out", run)...); err != nil {
		t.Fatal(err)
	}
	commands := [][]string{
		with(tiny, "--images", "4", "--sample-count", "0"), {"sample", run, "--count", "1", "--steps", "1"}, {"pairs", "--model", run, "--count", "1", "--steps", "1"},
		{"figures", "--images", "2"}, {"sweep", run, "glyphs", "--metrics", "fd", "--count", "2", "--real-count", "2", "--steps", "1"},
	}
	for _, args := range commands {
		out := t.TempDir()
		if err := os.MkdirAll(filepath.Join(out, "thesis"), 0o777); err != nil {
			t.Fatal(err)
		}
		_, code, err := fluxion(t, with(args, "--out", out)...)
		if err == nil || code != exitUsage || !strings.Contains(err.Error(), filepath.Join(out, "thesis")+", which was not made by this command") {
			t.Errorf("%s into a folder of others: exit %d, %v", args[0], code, err)
		}
		if left, err := os.ReadDir(out); err != nil || len(left) != 1 {
			t.Errorf("%s left %v, %v", args[0], left, err)
		}
		if args[0] == "figures" {
			continue // which take long
		}
		out = filepath.Join(t.TempDir(), "new")
		for range 2 {
			if _, _, err := fluxion(t, with(args, "--out", out)...); err != nil {
				t.Errorf("%s into its own: %v", args[0], err)
			}
			if err := os.MkdirAll(filepath.Join(out, "thesis"), 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzConfig: a file of settings is read, or refused in one line that names it.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{
		"lr: 0.001\nbatch: 8\n", `{"lr": 1e-3, "seed": 18446744073709551615}`, "lr = 0.001\n", "lr: [1, 2]\n", "lr:\n", "LR: 1\nlr: 2\n", "? [a]\n: b\n", "- 1\n", "",
		"a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b]\n", "lr: .inf\n", "lr: .nan\n", "batch: 1e400\n", "images: -9223372036854775809\n", "lr: !!binary x\n",
		"[lr]\nx = 1\n", "lr = 1979-05-27T07:32:00Z\n", "lr: \x00\n", strings.Repeat("[", 10000), strings.Repeat("{a: ", 10000), "flip: yes\n", "1: 2\n", "<<: {lr: 1}\n", "00=10+0000",
	} {
		f.Add(text)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		for _, ending := range []string{".yaml", ".toml", ".json"} {
			file := filepath.Join(dir, "settings"+ending)
			if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			err := command(t.Context(), "train", "--dry-run", "--config="+file)
			if err == nil {
				continue
			}
			if code := exitCode(err); code != exitUsage && code != exitInput /* of data */ || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "strconv") || len(err.Error()) > 4000 {
				t.Errorf("%s of %q: exit %d: %q, want 2 or 3 and one line", ending, text, code, err)
			}
		}
	})
}

// TestConfigOthersWrite: the mark that editors of Windows begin a file with and their
// ends of lines are read in every format; a second document is not left out silently.
func TestConfigOthersWrite(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text    string
		refused bool
	}{
		"mark.yaml": {"\ufeffbatch: 11\r\nlr: 0.5\r\n", false}, "mark.toml": {"\ufeffbatch = 11\r\nlr = 0.5\r\n", false}, "mark.json": {"\ufeff{\"batch\": 11,\r\n\"lr\": 0.5}\r\n", false},
		"one.yaml": {"---\nbatch: 11\nlr: 0.5\n...\n", false}, "two.yaml": {"batch: 11\n---\nlr: 0.5\n", true}, "two.json": {`{"batch": 11} {"lr": 0.5}`, true},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		out, code, err := fluxion(t, "train", "--dry-run", "--config", file)
		if c.refused {
			if code != exitUsage || !strings.Contains(err.Error(), "more than one document") {
				t.Errorf("%s: exit %d, %v", name, code, err)
			}
		} else if err != nil || !strings.Contains(out, "batch: 11\n") || !strings.Contains(out, "lr: 0.5\n") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// TestConfigSize: what is no file of settings is not read to its end.
func TestConfigSize(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(file, []byte(strings.Repeat("#", 1<<20+1)), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := command(t.Context(), "train", "--dry-run", "--config="+file); err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), "large.yaml") {
		t.Errorf("a file of more than a mebibyte: %v", err)
	}
}

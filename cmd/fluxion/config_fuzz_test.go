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
			if code := exitCode(err); code != exitUsage || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "strconv") || len(err.Error()) > 4000 {
				t.Errorf("%s of %q: exit %d: %q, want 2 and one line", ending, text, code, err)
			}
		}
	})
}

// TestConfigSize: what is no file of settings is not read to its end.
func TestConfigSize(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(file, []byte(strings.Repeat("#", maxConfig+1)), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := command(t.Context(), "train", "--dry-run", "--config="+file); err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), "large.yaml") {
		t.Errorf("a file of more than a mebibyte: %v", err)
	}
}

package second

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestElsewhere: a second run finds what there was where it writes instead, unless that is much.
func TestElsewhere(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	t.Setenv(taskVariable, filepath.Join(dir, "task"))
	if err := os.MkdirAll(filepath.Join(out, "below"), 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(out, "below", "file")
	if err := os.WriteFile(file, []byte("there"), 0o666); err != nil {
		t.Fatal(err)
	}
	elsewhere := func(path string) string {
		to, err := Elsewhere(path)
		if err != nil {
			t.Fatal(path, err)
		}
		return to
	}
	for _, c := range []struct{ path, below, base string }{{out, "below/file", "out"}, {out + "/", "below/file", "out"}, {file, "", "file"}, {"s3://bucket/new", "", "new"}, {"/", "", "out"}} {
		to := elsewhere(c.path)
		if rel, err := filepath.Rel(dir, to); err != nil || !filepath.IsLocal(rel) || filepath.Base(to) != c.base {
			t.Errorf("%s is written to %s", c.path, to)
		}
		if got, err := os.ReadFile(filepath.Join(to, c.below)); strings.HasPrefix(c.path, out) != (string(got) == "there") {
			t.Errorf("%s: %q is there, %v", c.path, got, err)
		}
	}
	if to := elsewhere("tar:" + out); to[:4] != "tar:" || filepath.Base(to) != "out" {
		t.Errorf("an archive is written to %s", to)
	}
	if err := os.Truncate(file, mostCopied+1); err != nil { // of no room on the disk
		t.Fatal(err)
	}
	if _, err := os.Stat(elsewhere(out)); !os.IsNotExist(err) {
		t.Errorf("much was copied: %v", err)
	}
}

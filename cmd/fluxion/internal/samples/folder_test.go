package samples

import (
	"os"
	"path/filepath"
	"testing"
)

// TestGridBesideFolder: the grid lies beside the folder of pictures, whatever its name.
func TestGridBesideFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for out, want := range map[string]string{
		"out": "out-grid.png", "out/": "out-grid.png", "a/b": "a/b-grid.png", ".": here + "-grid.png", "..": filepath.Dir(here) + "-grid.png", "/": "/grid.png",
		".hidden": ".hidden-grid.png",
	} {
		if got := GridOf(out); got != want {
			t.Errorf("--out %s: the grid is %s, want %s", out, got, want)
		}
	}
}

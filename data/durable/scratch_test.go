package durable

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// TestScratch: folders of processes that are gone are removed, those of others stay; who leaves
// takes its own away, and many may begin at once.
func TestScratch(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no locks: what is left stays")
	}
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	for _, left := range []string{"work-left", "other-left"} {
		if err := os.MkdirAll(filepath.Join(parent, left, "below"), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	names := func() (all []string) {
		t.Helper()
		entries, err := os.ReadDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	leave := map[string]func() error{}
	for range 8 {
		all.Go(func() {
			dir, remove, err := Scratch("work-")
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o666)
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			leave[dir] = remove
		})
	}
	all.Wait()
	if got := names(); len(got) != 9 || len(leave) != 8 || got[0] != "other-left" || got[1] == "work-left" {
		t.Errorf("%v, of which %d are in use", got, len(leave))
	}
	for dir, remove := range leave {
		if _, err := os.Stat(filepath.Join(dir, "file")); err != nil {
			t.Error(err)
		}
		if err := remove(); err != nil {
			t.Error(err)
		}
	}
	if got := names(); len(got) != 1 {
		t.Errorf("%v are left", got)
	}
}

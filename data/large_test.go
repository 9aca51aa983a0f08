package data_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"fluxion/data"
)

// TestLarge: an array of 4 GiB, most of which is a hole in its file, streams in the memory
// of the batches.
func TestLarge(t *testing.T) {
	const images, bytes = 1 << 20, 64 * 64
	path := filepath.Join(t.TempDir(), "large.npy")
	header := fmt.Sprintf("%-117s\n", fmt.Sprintf("{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 64, 64, 1), }", images))
	put(t, path, append([]byte("\x93NUMPY\x01\x00\x76\x00"), header...))
	if err := os.Truncate(path, 10+int64(len(header))+images*bytes); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d, err := data.Open(path, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l, err := data.NewLoader(d, data.LoaderOptions{Batch: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 50 {
		b, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.Release(b)
	}
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 8 {
		t.Errorf("%d MiB were allocated", mib)
	}
}

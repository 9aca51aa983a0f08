package data_test

import (
	"archive/tar"
	"bytes"
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

// TestStreams: of pictures in an archive that are not kept decoded, what stays in memory is where
// they lie, and the batches.
func TestStreams(t *testing.T) {
	const images, batch, most = 8_000, 64, 400 // bytes for each image of the set
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	for i := range images {
		pixels := bytes.Repeat([]byte{byte(i), byte(i >> 8), 7}, 32*32)
		picture, err := data.EncodePNG(pixels, 32, 32, 3, nil)
		if err == nil {
			err = w.WriteHeader(&tar.Header{Name: fmt.Sprintf("%02d/%06d.png", i%100, i), Size: int64(len(picture)), Mode: 0o666})
		}
		if err == nil {
			_, err = w.Write(picture)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "many.tar")
	put(t, path, file.Bytes())
	file = bytes.Buffer{}
	live := func() int64 {
		var m runtime.MemStats
		for range 3 { // pools give back what nobody takes in the second
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := live()
	d, err := data.Open(path, data.Options{CacheBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l, err := data.NewLoader(d, data.LoaderOptions{Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 50 + data.Batches {
		b, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if i < 50 { // the last ones are kept: without a batch to fill nobody decodes, beside what is measured
			l.Release(b)
		}
	}
	bound := int64(images*most + data.Batches*batch*data.ValuesOf(d) + 4<<20)
	if took := live() - before; took > bound {
		t.Errorf("%d bytes stay in memory, want at most %d: %d an image of the set, and the batches", took, bound, most)
	} else {
		t.Logf("%d bytes an image of the set", (took-int64(data.Batches*batch*data.ValuesOf(d)))/images)
	}
	runtime.KeepAlive(d)
}

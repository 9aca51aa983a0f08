package data_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
)

// TestReaders: every reader of data sets does what datatest asks of it.
func TestReaders(t *testing.T) {
	dir := t.TempDir()
	var z bytes.Buffer
	w := zip.NewWriter(&z)
	for i, name := range []string{"cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png", "eel/e.png"} {
		pixels := make([]byte, 6*6*3)
		for k := range pixels {
			pixels[k] = byte(k * (7 + i))
		}
		file, err := data.EncodePNG(pixels, 6, 6, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			file = file[:len(file)/2]
		}
		put(t, filepath.Join(dir, "set", name), file)
		m, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Write(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "set.zip"), z.Bytes())
	put(t, filepath.Join(dir, "mnist", "train-images-idx3-ubyte"), idx(3, []uint32{4, 5, 5}, 100))
	put(t, filepath.Join(dir, "mnist", "train-labels-idx1-ubyte"), idx(1, []uint32{4}, 4))
	for name, set := range map[string]datatest.Set{
		"folder":                          {Spec: filepath.Join(dir, "set"), Broken: []int{3}},
		"folder, resized, grey, not kept": {Spec: filepath.Join(dir, "set"), Options: data.Options{Size: 4, Channels: 1, CacheBytes: 1}, Broken: []int{3}},
		"zip":                             {Spec: filepath.Join(dir, "set.zip"), Broken: []int{3}},
		"glyphs":                          {Spec: "glyphs", Options: data.Options{Size: 8}, Refused: map[string]string{"no such characters": "glyphs:runes"}},
		"IDX":                             {Spec: "mnist:" + filepath.Join(dir, "mnist"), Options: data.Options{Size: 4}},
	} {
		t.Run(name, func(t *testing.T) { datatest.Run(t, set) })
	}
}

// idx is an IDX file of bytes 0, 1, 2 …
func idx(rank byte, dims []uint32, n int) []byte {
	b := []byte{0, 0, 8, rank}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

package data_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
	"fluxion/data/durable"
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
	put(t, filepath.Join(dir, "set.npz"), npz(t, "4, 1, 3, 1"))
	put(t, filepath.Join(dir, "bomb.npz"), npz(t, "1000000, 1, 300, 1"))
	put(t, filepath.Join(dir, "empty", "readme.txt"), nil)
	put(t, filepath.Join(dir, "cut.zip"), z.Bytes()[:z.Len()/2])
	put(t, filepath.Join(dir, "huge", "train-images-idx3-ubyte"), idx(3, []uint32{1 << 31, 1 << 31, 1 << 31}, 0))
	put(t, filepath.Join(dir, "huge", "train-labels-idx1-ubyte"), idx(1, []uint32{1 << 31}, 0))
	pairs := data.Pairs{Count: 5, Shard: 2, Height: 2, Width: 1, Channels: 3, Classes: []string{"a", "b"}, Key: 7}
	for i := range pairs.Shards() {
		from, to := pairs.Range(i)
		values, classes := make([]float32, 6*(to-from)), make([]int64, to-from)
		for k := range values {
			values[k] = float32(6*from+k) / 3
		}
		for k := range classes {
			classes[k] = int64((from+k)%3) - 1
		}
		for _, d := range []string{"pairs", "lacking"} {
			if d == "lacking" && i == 1 {
				continue
			}
			put(t, filepath.Join(dir, d, "made"), nil)
			if err := errors.Join(pairs.Write(durable.Disk{}, filepath.Join(dir, d)), pairs.WriteShard(durable.Disk{}, filepath.Join(dir, d), i, values, classes, nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(t, filepath.Join(dir, "many", data.PairsFile), []byte(`{"count": 2, "shard": 9223372036854775807, "height": 1, "width": 1, "channels": 1}`))
	noPictures, cut := map[string]string{"no pictures": filepath.Join(dir, "empty"), "not there": filepath.Join(dir, "nowhere")}, map[string]string{"not whole": filepath.Join(dir, "cut.zip")}
	huge := map[string]string{"more than can be": "mnist:" + filepath.Join(dir, "huge"), "not there": "mnist:" + filepath.Join(dir, "nowhere")}
	put(t, filepath.Join(dir, "list.jsonl"), []byte(partLine(t, filepath.Join(dir, "set"))))
	for name, set := range map[string]datatest.Set{
		"list":                            {Spec: "list:" + filepath.Join(dir, "list.jsonl"), Options: data.Options{Size: data.Square(6)}, Broken: []int{3}, Refused: map[string]string{"not there": "list:" + filepath.Join(dir, "none.jsonl")}},
		"folder":                          {Spec: filepath.Join(dir, "set"), Broken: []int{3}, Refused: noPictures},
		"folder, resized, grey, not kept": {Spec: filepath.Join(dir, "set"), Options: data.Options{Size: data.Square(4), Channels: 1, CacheBytes: 1}, Broken: []int{3}},
		"zip":                             {Spec: filepath.Join(dir, "set.zip"), Broken: []int{3}, Refused: cut},
		"glyphs":                          {Spec: "glyphs", Options: data.Options{Size: data.Square(8)}, Refused: map[string]string{"no such characters": "glyphs:runes"}},
		"toy":                             {Spec: "toy:moons", Images: 9, Refused: map[string]string{"no such points": "toy:suns"}},
		"arrays":                          {Spec: filepath.Join(dir, "set.npz"), Broken: []int{1}, Refused: map[string]string{"a bomb": filepath.Join(dir, "bomb.npz"), "not there": filepath.Join(dir, "nowhere.npy")}},
		"arrays of bytes":                 {Spec: filepath.Join("testdata", "arrays", "packed.npz")},
		"pairs":                           {Spec: "pairs:" + filepath.Join(dir, "pairs"), Refused: map[string]string{"not there": "pairs:" + filepath.Join(dir, "empty"), "names no folder": "pairs:", "lacks 1 of 3": "pairs:" + filepath.Join(dir, "lacking"), "more than can be": "pairs:" + filepath.Join(dir, "many")}},
		"paired":                          {Spec: "paired:" + filepath.Join(dir, "set.zip") + "," + filepath.Join(dir, "set"), Broken: []int{3}},
		"IDX":                             {Spec: "mnist:" + filepath.Join(dir, "mnist"), Options: data.Options{Size: data.Square(4)}, Refused: huge},
	} {
		t.Run(name, func(t *testing.T) { datatest.Run(t, set) })
	}
}

// npz is a compressed file of four images of three values, the second broken, that says
// to have another shape, with classes and noise.
func npz(t *testing.T, shape string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, of := range map[string]struct {
		descr, shape string
		elements     any
	}{
		"images": {"<f4", shape, []float32{1, 2, 3, 4, float32(math.Inf(1)), 6, 7, 8, 9, 10, 11, 12}},
		"labels": {"<i8", "4,", []int64{0, 1, 1, -1}}, "noise": {"<i8", "4,", []int64{9, -1, 1 << 40, -1}},
	} {
		w, err := z.Create(name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", of.descr, of.shape)
		fmt.Fprintf(w, "\x93NUMPY\x01\x00%s%s", binary.LittleEndian.AppendUint16(nil, uint16(len(header))), header)
		if err := binary.Write(w, binary.LittleEndian, of.elements); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
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

func put(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

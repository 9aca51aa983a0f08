package parquet

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// TestColumns: what is said of the columns of a file that pyarrow wrote, and the values of
// one, of which some are not there.
func TestColumns(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join("..", "testdata", "formats", "gaps.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewFile(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	if c := f.Find("img"); f.Rows != 2 || len(f.Columns) != 2 || c == nil || c.Type != ByteArray || f.Find("image") != nil {
		t.Fatalf("%d rows, %d columns", f.Rows, len(f.Columns))
	}
	for name, want := range map[string]string{"img": "[true false]", "label": "[false true]"} {
		pages, err := f.Pages(f.Find(name))
		if err != nil || len(pages) != 1 {
			t.Fatal(name, len(pages), err)
		}
		values, err := f.Values(pages[0])
		if err != nil {
			t.Fatal(name, err)
		}
		var there []bool
		for _, v := range values {
			there = append(there, v != nil)
		}
		if fmt.Sprint(there) != want {
			t.Errorf("%s: %v", name, there)
		}
	}
}

// TestRuns: runs and groups of packed bits, as the format's own text has them: 0 to 7 in
// three bits are 88 C6 FA.
func TestRuns(t *testing.T) {
	for name, c := range map[string]struct {
		b     []byte
		width int
		n     int64
		want  string
	}{
		"packed":     {[]byte{3, 0x88, 0xc6, 0xfa}, 3, 8, "[0 1 2 3 4 5 6 7]"},
		"a run":      {[]byte{10, 4}, 3, 5, "[4 4 4 4 4]"},
		"both":       {[]byte{4, 1, 3, 0b01010101}, 1, 6, "[1 1 1 0 1 0]"},
		"wide":       {[]byte{2, 1, 2}, 16, 1, "[513]"},
		"no bits":    {[]byte{6}, 0, 3, "[0 0 0]"},
		"cut short":  {[]byte{3, 0x88}, 3, 8, "error"},
		"no numbers": {[]byte{0, 1}, 1, 1, "error"},
		"too many":   {bytes.Repeat([]byte{0xff}, 12), 1, 1, "error"},
	} {
		var got []uint32
		err := runs(c.b, c.width, c.n, func(v uint32) error { got = append(got, v); return nil })
		if text := fmt.Sprint(got); err == nil && text != c.want || err != nil && c.want != "error" {
			t.Errorf("%s: %v, %v, want %s", name, got, err, c.want)
		}
	}
}

// TestBombs: pages that unpack to more than they announce, or announce more than they
// have, are refused before they take memory.
func TestBombs(t *testing.T) {
	zeros := make([]byte, 64<<20)
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	if _, err := w.Write(zeros); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		codec int64
		b     []byte
	}{
		"gzip": {gzipped, gz.Bytes()}, "zstd": {zstded, z.EncodeAll(zeros, nil)}, "snappy": {snappied, snappy.Encode(nil, zeros)},
		"snappy of 4 GiB": {snappied, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}}, "stored": {stored, zeros}, "Brotli": {4, nil},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := unpack(c.codec, c.b, 1000)
		runtime.ReadMemStats(&after)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 40 {
			t.Errorf("%s: %d MiB were allocated", name, mib)
		}
	}
	for name, b := range map[string][]byte{
		"deep":      bytes.Repeat([]byte{0x1c}, 1<<20),
		"long list": {0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"long text": {0x18, 0xff, 0xff, 0xff, 0xff, 0x7f},
	} {
		if _, err := (&compact{b: b}).structure(0); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

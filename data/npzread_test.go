package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDoubles: numbers of all types, stored and packed.
func TestDoubles(t *testing.T) {
	var want []float64
	var doubles, singles, big, halves, small, integers []byte
	for i := range 5000 {
		x := float64(i % 3)
		want = append(want, x)
		doubles = binary.LittleEndian.AppendUint64(doubles, math.Float64bits(x))
		singles = binary.LittleEndian.AppendUint32(singles, math.Float32bits(float32(x)))
		big = binary.BigEndian.AppendUint64(big, math.Float64bits(x))
		halves = binary.LittleEndian.AppendUint16(halves, []uint16{0, 0x3c00, 0x4000}[i%3])
		small = append(small, byte(i%3))
		integers = binary.BigEndian.AppendUint16(integers, uint16(i%3))
	}
	files := map[string][]byte{}
	for name, c := range map[string]struct {
		descr string
		body  []byte
	}{"doubles": {"<f8", doubles}, "singles": {"<f4", singles}, "big": {">f8", big}, "halves": {"<f2", halves}, "bytes": {"|u1", small}, "integers": {">i2", integers}} {
		files[name+".npy"] = npy(c.descr, "(50, 100)", c.body)
	}
	files["one.npy"] = npy("<i8", "()", []byte{7, 0, 0, 0, 0, 0, 0, 0})
	files["none.npy"] = npy("<f8", "(0, 3)", nil)
	for name, file := range map[string][]byte{"stored": storedZip(t, files), "packed": zipped(t, files)} {
		path := filepath.Join(t.TempDir(), name+".npz")
		write(t, path, file)
		got, err := ReadNPZDoubles(path, "doubles", "singles", "big", "halves", "bytes", "integers", "one", "none", "missing")
		if err != nil || len(got) != 8 {
			t.Fatalf("%s: %d arrays, %v", name, len(got), err)
		}
		for array, d := range got {
			switch array {
			case "one":
				if len(d.Shape) != 0 || !slices.Equal(d.Values, []float64{7}) {
					t.Errorf("%s: %s is %v", name, array, d)
				}
			case "none":
				if !slices.Equal(d.Shape, []int{0, 3}) || len(d.Values) != 0 {
					t.Errorf("%s: %s is %v", name, array, d)
				}
			default:
				if !slices.Equal(d.Shape, []int{50, 100}) || !slices.Equal(d.Values, want) {
					t.Errorf("%s: %s has shape %v and begins with %v", name, array, d.Shape, d.Values[:5])
				}
			}
		}
	}
}

// TestBadDoubles: one line that names the array, and little memory for it.
func TestBadDoubles(t *testing.T) {
	eight := make([]byte, 16)
	whole := zipped(t, map[string][]byte{"mu.npy": npy("<f8", "(2,)", []byte("0123456789abcdef"))})
	damaged := slices.Clone(whole)
	damaged[bytes.Index(damaged, []byte("PK\x01\x02"))+16] ^= 1 // its checksum
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"cut":      {zipped(t, map[string][]byte{"mu.npy": npy("<f8", "(3,)", eight)}), "holds not the 24 bytes of float64 of shape (3,)"},
		"long":     {storedZip(t, map[string][]byte{"mu.npy": npy("<f8", "(1,)", eight)}), "holds not the 8 bytes"},
		"too much": {storedZip(t, map[string][]byte{"mu.npy": npy("<f8", "(2049, 2049)", nil)}), "(2049, 2049); want at most 4194304 numbers"},
		"unsigned": {storedZip(t, map[string][]byte{"mu.npy": npy("<u8", "(1,)", bytes.Repeat([]byte{255}, 8))}), "too large"},
		"text":     {storedZip(t, map[string][]byte{"mu.npy": npy("<U2", "(2,)", eight)}), `type "<U2"`},
		"checksum": {damaged, "cannot be read"},
		"large":    {bomb(t, "mu.npy", npy("<f8", "(8192, 8192)", nil)), "want at most"},
		"a bomb":   {bomb(t, "mu.npy", npy("<f8", "(2048, 2048)", nil)), "holds not the 33554432 bytes"},
		"no zip":   {[]byte("PK"), "not a whole .npz"},
		"a folder": {nil, "cannot be opened"},
	} {
		path := filepath.Join(t.TempDir(), "a.npz")
		if c.file == nil {
			path = t.TempDir()
		} else {
			write(t, path, c.file)
		}
		allocates(t, 40, func() {
			_, err := ReadNPZDoubles(path, "mu")
			if bad := (*Error)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		})
		if c.file == nil || name == "no zip" {
			if _, err := ReadNPZText(path, "mu"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, read for its text: %v, want %q", name, err, c.want)
			}
		}
	}
}

package data

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNPZ: arrays are read one by one, and a file that is cut short while it is open is an error.
func TestNPZ(t *testing.T) {
	var b bytes.Buffer
	if err := WriteNPZ(&b, Array{Name: "a", Shape: []int{2, 3}, Floats: []float32{1, 2, 3, 4, 5, 6}}, Array{Name: "b", Shape: []int{1}, Halves: []uint16{0x3c00}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.npz")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	z, err := OpenNPZ(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if shape, there, err := z.Shape("a", 6); err != nil || !there || !slices.Equal(shape, []int{2, 3}) {
		t.Errorf("a has shape %v, %v, %v", shape, there, err)
	}
	if _, there, err := z.Shape("c", 6); err != nil || there {
		t.Errorf("c is there: %v, %v", there, err)
	}
	a, half := make([]float32, 6), make([]float32, 1)
	if err := z.Floats("a", a); err != nil || a[5] != 6 {
		t.Errorf("a is %v, %v", a, err)
	}
	if err := z.Floats("b", half); err != nil || half[0] != 1 {
		t.Errorf("b is %v, %v", half, err)
	}
	refused := func(want string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_, _, err = z.Shape("a", 5)
	refused("want at most 5 numbers", err)
	refused("want at most 1 numbers", z.Floats("a", half))
	refused("has 1 numbers, want 6", z.Floats("b", a))
	refused("holds no array c", z.Floats("c", a))
	if err := os.Truncate(path, int64(b.Len()/4)); err != nil {
		t.Fatal(err)
	}
	refused("x.npz!b.npy", z.Floats("b", half))
}

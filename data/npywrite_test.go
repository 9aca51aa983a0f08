package data

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestWriteNPY: what is written is what NumPy writes, to the byte.
func TestWriteNPY(t *testing.T) {
	values := make([]float32, 60)
	for i := range values {
		values[i] = float32(i)/8 - 3
	}
	for name, a := range map[string]Array{
		"single.npy": {Shape: []int{5, 2, 2, 3}, Floats: values}, "points.npy": {Shape: []int{7, 2}, Floats: values[:14]},
		"integers.npy": {Shape: []int{3}, Integers: []int64{1, -2, 1 << 40}}, "text.npy": {Text: "σ = 1"},
	} {
		want, err := os.ReadFile(array(name))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := WriteNPY(&got, a); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s is\n%q\nwant\n%q", name, got.Bytes(), want)
		}
	}
}

// TestWriteNPZ: what is written is a data set, with its classes.
func TestWriteNPZ(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	err = WriteNPZ(f, Array{Name: "images", Shape: []int{2, 1, 1, 2}, Floats: []float32{1, 2, 3, 4}}, Array{Name: "labels", Shape: []int{2}, Integers: []int64{1, 0}}, Array{Name: "text", Text: "{\"π\": 1}"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	d := mustOpen(t, path)
	e := NewExample(d)
	if err := d.Read(1, e); err != nil || e.Floats[0] != 3 || e.Floats[1] != 4 || e.Class != 0 || len(d.Classes()) != 2 {
		t.Errorf("read back %v, class %d of %q, %v", e.Floats, e.Class, d.Classes(), err)
	}
	if text, err := ReadNPZText(path, "text"); err != nil || text != "{\"π\": 1}" {
		t.Errorf("text %q, %v", text, err)
	}
	if text, err := ReadNPZText(path, "labels"); err != nil || text != "" {
		t.Errorf("numbers are the text %q, %v", text, err)
	}
}

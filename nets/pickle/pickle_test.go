package pickle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/nets/safetensors"
)

// TestRead: files of PyTorch and numpy against the same tensors as they wrote them
// in float64 (scripts/pickles.py).
func TestRead(t *testing.T) {
	for name, like := range map[string]string{"state.pth": "state", "legacy.pth": "state", "script.pt": "script", "statistics.pkl": "statistics"} {
		f, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want, err := safetensors.Open(filepath.Join("testdata", like+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		for _, w := range want.Tensors {
			got, ok := f.Lookup(w.Name)
			if !ok || !slices.Equal(got.Shape, w.Shape) {
				t.Errorf("%s: %s has shape %v, want %v", name, w.Name, got.Shape, w.Shape)
				continue
			}
			expect, values := make([]float64, w.Elements()), make([]float32, w.Elements())
			if err := errors.Join(want.ReadFloat64(w.Name, expect), f.ReadFloat32(w.Name, values)); err != nil {
				t.Error(err)
				continue
			}
			for i, v := range values {
				if v != float32(expect[i]) {
					t.Errorf("%s: %s[%d] is %g, want %g", name, w.Name, i, v, expect[i])
				}
			}
			if got.Dtype == safetensors.F64 {
				whole := make([]float64, len(expect))
				if err := f.ReadFloat64(w.Name, whole); err != nil || !slices.Equal(whole, expect) {
					t.Errorf("%s: %s in float64: %v, %v", name, w.Name, whole, err)
				}
			}
		}
	}
}

// TestProgram: what would be run is named and is not run.
func TestProgram(t *testing.T) {
	_, err := Open("testdata/program.pkl")
	if err == nil || !strings.Contains(err.Error(), "posix.system") || !strings.Contains(err.Error(), "state_dict") {
		t.Errorf("a program: %v", err)
	}
}

// TestDamage: every shortened file is refused, and whatever one byte more or less of
// it says costs an error at most.
func TestDamage(t *testing.T) {
	for _, name := range []string{"state.pth", "legacy.pth", "script.pt", "statistics.pkl"} {
		whole, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		step := max(1, len(whole)/200)
		for n := 0; n < len(whole)-1; n += step {
			if f, err := NewFile(bytes.NewReader(whole[:n]), int64(n), name); err == nil && name != "statistics.pkl" {
				t.Errorf("%s of %d bytes is taken as %d tensors", name, n, len(f.Tensors))
			}
		}
		for at := 0; at < len(whole); at += step {
			b := slices.Clone(whole)
			b[at] ^= 0x55
			readAll(b)
		}
	}
}

// readAll reads what can be read.
func readAll(b []byte) {
	f, err := NewFile(bytes.NewReader(b), int64(len(b)), "bytes")
	if err != nil {
		return
	}
	for _, t := range f.Tensors[:min(len(f.Tensors), 1000)] {
		if n := t.Elements(); n <= len(b) {
			_ = f.ReadFloat32(t.Name, make([]float32, n)) // an error is as good
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"state.pth", "legacy.pth", "script.pt", "statistics.pkl", "program.pkl"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, b := range hostile(f, 32) {
		f.Add([]byte(b))
	}
	f.Fuzz(func(_ *testing.T, b []byte) { readAll(b) })
}

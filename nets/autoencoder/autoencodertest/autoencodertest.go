// Package autoencodertest has small autoencoders for tests, whose weights and images follow
// from their names, and what diffusers makes of images and latents with them
// (scripts/autoencoders.py).
package autoencodertest

import (
	"bytes"
	"embed"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/autoencoder"
	"fluxion/nets/feature/featuretest"
	"fluxion/nets/safetensors"
)

//go:embed testdata
var testdata embed.FS

// Names of the autoencoders; that of the first is Stable Diffusion's in small.
var Names = []string{"sd", "sdxl", "flux", "grey"}

// Read returns one of them.
func Read(t testing.TB, name string) *autoencoder.Model {
	t.Helper()
	text, err := testdata.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	c, err := autoencoder.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Empty()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params {
		x := Numbers(p.Name, p.Size())
		for i, u := range featuretest.Numbers(p.Name, p.Size()) {
			switch {
			case strings.HasSuffix(p.Name, ".bias"):
				u *= 0.1
			case len(p.Stored) == 1: // of a norm
				u = 1 + 0.2*u
			default:
				u *= math.Sqrt(3 / float64(p.Size()/p.Stored[0]))
			}
			x[i] = float32(u)
		}
		nets.FromStored(p, x, m.Flat)
	}
	return m
}

// Write writes one of them as diffusers does, and returns its folder.
func Write(t testing.TB, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := Read(t, name).Write(dir, safetensors.F32); err != nil {
		t.Fatal(err)
	}
	return filepath.Clean(dir)
}

// Numbers of a name in [−1, 1): "image" and "z" are what diffusers was given.
func Numbers(name string, n int) []float32 {
	x := make([]float32, n)
	for i, u := range featuretest.Numbers(name, n) {
		x[i] = float32(u)
	}
	return x
}

// Array is numbers of a shape, NHWC.
type Array struct {
	Shape  []int
	Values []float32
}

// Recorded returns what diffusers made with an autoencoder: mean and logvar of the posterior of
// image, and image_of_z; of sd tiled_ of each, too.
func Recorded(t testing.TB, name string) map[string]Array {
	t.Helper()
	path := "testdata/" + name + ".safetensors"
	b, err := testdata.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.NewFile(bytes.NewReader(b), int64(len(b)), path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Array{}
	for _, s := range f.Tensors {
		a := Array{slices.Clone(s.Shape), make([]float32, s.Elements())}
		if err := f.ReadFloat32(s.Name, a.Values); err != nil {
			t.Fatal(err)
		}
		all[s.Name] = a
	}
	return all
}

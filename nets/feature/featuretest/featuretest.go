// Package featuretest has what tests of feature networks share: weights and images
// that are made by a formula, and what other programs say of them (scripts/features.py).
package featuretest

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/nets/safetensors"
)

//go:embed testdata
var testdata embed.FS

// Numbers in [−1, 1), made of a name and their index as scripts/features.py makes them.
func Numbers(name string, n int) []float64 {
	h := fnv.New32a()
	h.Write([]byte(name))
	out := make([]float64, n)
	for i := range out {
		x := uint32(i)*2654435761 + h.Sum32()
		x ^= x >> 16
		x *= 0x7feb352d
		x ^= x >> 15
		x *= 0x846ca68b
		x ^= x >> 16
		out[i] = float64(x)/(1<<31) - 1
	}
	return out
}

// Formula is a file of weights that are made when they are read: shapes by name.
type Formula map[string][]int

// Read returns the weights of a network.
func Read(t testing.TB, network string) Formula {
	t.Helper()
	b, err := testdata.ReadFile("testdata/" + network + ".json")
	if err != nil {
		t.Fatal(err)
	}
	f := Formula{}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// DINOv2 returns the weights of one of so many channels and blocks. Read has them of a
// network that is too small to be published.
func DINOv2(t testing.TB, channels, blocks int) Formula {
	t.Helper()
	const test = 384 // channels of the file
	f := Formula{}
	for name, shape := range Read(t, "dinov2-test") {
		shape = slices.Clone(shape)
		for i, d := range shape {
			if d%test == 0 {
				shape[i] = d / test * channels
			}
		}
		switch rest, first := strings.CutPrefix(name, "blocks.0."); {
		case first:
			for i := range blocks {
				f[fmt.Sprintf("blocks.%d.%s", i, rest)] = shape
			}
		case !strings.HasPrefix(name, "blocks."):
			f[name] = shape
		}
	}
	return f
}

// Outputs are what the other programs say of Images, in float32 from float64.
func Outputs(t testing.TB, network string) map[string][]float32 {
	t.Helper()
	b, err := testdata.ReadFile("testdata/" + network + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.NewFile(bytes.NewReader(b), int64(len(b)), network)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string][]float32{}
	for _, o := range f.Tensors {
		of[o.Name] = make([]float32, o.Elements())
		if err := f.ReadFloat32(o.Name, of[o.Name]); err != nil {
			t.Fatal(err)
		}
	}
	return of
}

// Images are two of side×side×3, smooth as photographs are, about −1 to 1.
func Images(side int) []float32 {
	noise := Numbers("image", 2*side*side*3)
	out := make([]float32, len(noise))
	for i := range out {
		c, x, y, n := i%3, i/3%side, i/3/side%side, i/3/side/side
		sum, count := 0.0, 0.0
		for py := max(0, y-2); py < min(side, y+3); py++ {
			for px := max(0, x-2); px < min(side, x+3); px++ {
				sum += noise[((n*side+py)*side+px)*3+c]
				count++
			}
		}
		out[i] = float32(2 * sum / count)
	}
	return out
}

// Path is what errors call it.
func (Formula) Path() string { return "a formula" }

// List is nothing: whoever reads knows the names.
func (Formula) List() []safetensors.Tensor { return nil }

// Lookup finds a tensor by name.
func (f Formula) Lookup(name string) (safetensors.Tensor, bool) {
	shape, ok := f[name]
	return safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: shape}, ok
}

// ReadFloat32 makes a tensor.
func (f Formula) ReadFloat32(name string, dst []float32) error {
	shape := f[name]
	fan := 1
	for _, d := range shape[1:] {
		fan *= d
	}
	for i, u := range Numbers(name, len(dst)) {
		switch {
		case name == "cls_token" || name == "pos_embed":
			u *= 0.5
		case len(shape) > 1:
			u *= math.Sqrt(6 / float64(fan))
		case strings.HasSuffix(name, "running_var"):
			u = 1 + 0.5*u
		case strings.HasSuffix(name, ".weight"):
			u = 1 + 0.25*u
		default:
			u *= 0.1
		}
		dst[i] = float32(u)
	}
	return nil
}

// Close does nothing.
func (Formula) Close() error { return nil }

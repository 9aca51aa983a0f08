package feature

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/nets/safetensors"
)

// numbers in [−1, 1), made of a name and their index as scripts/features.py makes them.
func numbers(name string, n int) []float64 {
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

// formula is a file of weights that are made when they are read.
type formula map[string][]int

func readFormula(t *testing.T, name string) formula {
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	f := formula{}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f formula) Lookup(name string) (safetensors.Tensor, bool) {
	shape, ok := f[name]
	return safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: shape}, ok
}

func (f formula) ReadFloat32(name string, dst []float32) error {
	shape := f[name]
	fan := 1
	for _, d := range shape[1:] {
		fan *= d
	}
	for i, u := range numbers(name, len(dst)) {
		switch {
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

func (formula) Close() error { return nil }

// TestParameters: every tensor of the file is read, but the bias of the logits.
func TestParameters(t *testing.T) {
	for _, n := range Networks {
		g, err := n.Build(1)
		if err != nil {
			t.Fatal(err)
		}
		left := readFormula(t, n.Name)
		r := reader{n, counting{left, map[string]bool{}}, "test"}
		for _, p := range g.Params {
			if _, err := r.param(p); err != nil {
				t.Fatal(err)
			}
		}
		for name := range left {
			if !r.f.(counting).read[name] && name != n.files.dropBias+".bias" {
				t.Errorf("%s: %s is in the file and not read", n.Name, name)
			}
		}
	}
}

type counting struct {
	formula
	read map[string]bool
}

func (c counting) ReadFloat32(name string, dst []float32) error {
	c.read[name] = true
	return c.formula.ReadFloat32(name, dst)
}

// TestWrongWeights: a file of another network is named as that.
func TestWrongWeights(t *testing.T) {
	g, err := inception.Build(1)
	if err != nil {
		t.Fatal(err)
	}
	f := readFormula(t, "inception")
	f["fc.weight"] = []int{1000, 2048} // torchvision's
	if _, err := (reader{inception, f, "x.pth"}).all(g.Params); err == nil || !strings.Contains(err.Error(), "fc.weight") || !strings.Contains(err.Error(), "1008") {
		t.Errorf("torchvision's classes: %v", err)
	}
	if _, err := (reader{lite0, f, "x.pth"}).all(g.Params); err == nil {
		t.Error("weights of another network are taken")
	}
}

func ExampleFind() {
	n, err := Find("lite0")
	fmt.Println(n.Name, n.Side, n.Outputs, err)
	// Output:
	// lite0 224 [pooled logits] <nil>
}

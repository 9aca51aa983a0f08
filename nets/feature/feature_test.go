package feature

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/feature/featuretest"
)

// TestParameters: every tensor of the file is read, but the bias of the logits.
func TestParameters(t *testing.T) {
	for _, n := range Networks {
		g, err := n.Build(1)
		if err != nil {
			t.Fatal(err)
		}
		if d := g.Outputs[Pooled].Shape()[1]; d != n.Dim {
			t.Errorf("%s says %d numbers, not %d", n.Name, d, n.Dim)
		}
		left := featuretest.Read(t, n.Name)
		r := reader{n, counting{left, map[string]bool{}}}
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
	featuretest.Formula
	read map[string]bool
}

func (c counting) ReadFloat32(name string, dst []float32) error {
	c.read[name] = true
	return c.Formula.ReadFloat32(name, dst)
}

// TestWrongWeights: a file of another network is named as that.
func TestWrongWeights(t *testing.T) {
	g, err := inception.Build(1)
	if err != nil {
		t.Fatal(err)
	}
	f := featuretest.Read(t, "inception")
	f["fc.weight"] = []int{1000, 2048} // torchvision's
	if _, err := (reader{inception, f}).all(g.Params); err == nil || !strings.Contains(err.Error(), "fc.weight") || !strings.Contains(err.Error(), "1008") {
		t.Errorf("torchvision's classes: %v", err)
	}
	if _, err := (reader{lite0, f}).all(g.Params); err == nil {
		t.Error("weights of another network are taken")
	}
}

// TestEmbedded: the weights that are part of the program are whole, and few.
func TestEmbedded(t *testing.T) {
	g, err := glyph.Build(1)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(glyph.Embedded()); n > 1<<20 {
		t.Errorf("%d bytes are embedded, want at most 1 MiB", n)
	}
	weights, err := glyph.EmbeddedWeights(g.Params)
	if err != nil || len(weights) != nets.FlatSize(g.Params) {
		t.Fatalf("%d weights: %v", len(weights), err)
	}
	for _, p := range g.Params {
		values := weights[p.Offset:][:p.Size()]
		if slices.Max(values) == slices.Min(values) {
			t.Errorf("%s was not trained", p.Name)
		}
	}
	broken := glyph
	broken.embedded = glyph.embedded[:len(glyph.embedded)-1]
	if _, err := broken.EmbeddedWeights(g.Params); err == nil {
		t.Error("a file that is cut off is taken")
	}
}

func ExampleFind() {
	n, err := Find("lite0")
	fmt.Println(n.Name, n.Side, n.Outputs, err)
	// Output:
	// lite0 224 [pooled logits] <nil>
}

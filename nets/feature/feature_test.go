package feature

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"fluxion/kernels/kerneltest"
	"fluxion/nets"
	"fluxion/nets/feature/featuretest"

	"gorgonia.org/tensor"
)

// TestParameters: every tensor of the file is read, but the bias of the logits.
func TestParameters(t *testing.T) {
	blocks := map[string]int{"dinov2": 24, "dinov2-b": 12, "dinov2-s": 12}
	for _, n := range Networks {
		g, err := n.Build(1)
		if err != nil {
			t.Fatal(err)
		}
		if d := g.Outputs[Pooled].Shape()[1]; d != n.Dim {
			t.Errorf("%s says %d numbers, not %d", n.Name, d, n.Dim)
		}
		if logits, is := g.Outputs[Logits]; is != (n.Classes > 0) || is && logits.Shape()[1] != n.Classes {
			t.Errorf("%s has not %d logits", n.Name, n.Classes)
		}
		var left featuretest.Formula
		if b := blocks[n.Name]; b > 0 {
			left = featuretest.DINOv2(t, n.Dim, b)
		} else {
			left = featuretest.Read(t, n.Name)
		}
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

// TestGrids: a GPU takes the launches of a batch.
func TestGrids(t *testing.T) {
	for _, n := range Networks {
		g, err := n.Build(64)
		if err != nil {
			t.Fatal(err)
		}
		kerneltest.CheckGrids(t, g.Image.Graph())
	}
}

type counting struct {
	featuretest.Formula
	read map[string]bool
}

func (c counting) ReadFloat32(name string, _ []float32) error {
	c.read[name] = true
	return nil
}

// TestDINOv2: the sizes have as many weights as timm's networks, with the token of masks
// that nothing here reads.
func TestDINOv2(t *testing.T) {
	for _, c := range []struct {
		network         Network
		blocks, weights int
	}{{dinoSmall, 12, 22_056_576}, {dinoBase, 12, 86_580_480}, {dinoLarge, 24, 304_368_640}} {
		n := c.network.Dim
		for _, shape := range featuretest.DINOv2(t, c.network.Dim, c.blocks) {
			n += tensor.Shape(shape).TotalSize()
		}
		if n != c.weights {
			t.Errorf("%s has %d weights, want %d", c.network.Name, n, c.weights)
		}
	}
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

package unet

import (
	"path/filepath"
	"slices"
	"testing"

	"fluxion/nets"
	"fluxion/nets/netstest"

	"gorgonia.org/tensor"
)

// TestUntold: the network without what it is told makes what the other makes of being told it:
// a class, a number, or a vector.
func TestUntold(t *testing.T) {
	for name, labels := range map[string][][]float32{
		"imagenet": {{0}, {4}}, "class-timestep": {{0}, {641.5}, {-1000}}, "class-identity": {slices.Repeat([]float32{-1}, 12), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
	} {
		dir := filepath.Join("testdata", "diffusers", name)
		c, flat, err := readModel(dir)
		if err != nil {
			t.Fatal(err)
		}
		told, _ := fixtureGraph(t, dir)
		n := told.Sample.Shape()[0]
		for _, label := range labels {
			wide := make([]float64, len(label))
			for i, x := range label {
				wide[i] = float64(x)
			}
			netstest.Let(t, told.Class, slices.Repeat(wide, n))
			run(t, told)
			alone, weights, ok := c.Untold(flat, label)
			if !ok || alone.Spec().Conditional() {
				t.Fatalf("%s: label %v: %v, %+v", name, label, ok, alone)
			}
			s := told.Sample.Shape()
			g, err := nets.Build(alone, nets.BuildOptions{Batch: n, Height: s[1], Width: s[2], Dtype: tensor.Float64})
			if err != nil {
				t.Fatal(err)
			}
			netstest.Let(t, g.Sample, slices.Clone(told.Sample.Value().Data().([]float64)))
			netstest.Let(t, g.Time, slices.Clone(told.Time.Value().Data().([]float64)))
			for i, p := range g.Params {
				w := make([]float64, p.Size())
				for k := range w {
					w[k] = float64(weights[p.Offset+k])
				}
				netstest.Let(t, g.Nodes[i], w)
			}
			run(t, g)
			compare(t, "output", g.Output.Value(), told.Output.Value().Data().([]float64), 1e-6) // the bias is rounded to float32
		}
	}
}

// TestUntoldRefused: there is nothing to fold of a class that there is not, nor of a network
// that is told none.
func TestUntoldRefused(t *testing.T) {
	c, flat, err := readModel(filepath.Join("testdata", "diffusers", "imagenet"))
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range []float32{-1, float32(c.NumClassEmbeds)} {
		if _, _, ok := c.Untold(flat, []float32{class}); ok {
			t.Errorf("there is a class %v", class)
		}
	}
	if _, _, ok := c.WithClasses(0).Untold(flat, []float32{0}); ok {
		t.Error("a network without classes lost them")
	}
}

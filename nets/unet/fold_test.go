package unet

import (
	"path/filepath"
	"slices"
	"testing"

	"fluxion/nets"

	"gorgonia.org/tensor"
)

// TestWithoutClasses: the network without classes makes what the other makes of the class.
func TestWithoutClasses(t *testing.T) {
	dir := filepath.Join("testdata", "diffusers", "imagenet")
	c, flat, err := readModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	told, _ := fixtureGraph(t, dir)
	n := told.Sample.Shape()[0]
	for _, class := range []int{0, c.NumClassEmbeds - 1} {
		bind(t, told.Class, slices.Repeat([]float64{float64(class)}, n))
		run(t, told)
		alone, weights, ok := c.WithoutClasses(flat, class)
		if !ok || alone.Spec().Conditional() {
			t.Fatalf("class %d: %v, %+v", class, ok, alone)
		}
		s := told.Sample.Shape()
		g, err := nets.Build(alone, nets.BuildOptions{Batch: n, Height: s[1], Width: s[2], Dtype: tensor.Float64})
		if err != nil {
			t.Fatal(err)
		}
		bind(t, g.Sample, slices.Clone(told.Sample.Value().Data().([]float64)))
		bind(t, g.Time, slices.Clone(told.Time.Value().Data().([]float64)))
		for i, p := range g.Params {
			w := make([]float64, p.Size())
			for k := range w {
				w[k] = float64(weights[p.Offset+k])
			}
			bind(t, g.Nodes[i], w)
		}
		run(t, g)
		compare(t, "output", g.Output.Value(), told.Output.Value().Data().([]float64), 1e-6) // the bias is rounded to float32
	}
	for _, class := range []int{-1, c.NumClassEmbeds} {
		if _, _, ok := c.WithoutClasses(flat, class); ok {
			t.Errorf("there is a class %d", class)
		}
	}
	if _, _, ok := c.WithClasses(0).WithoutClasses(flat, 0); ok {
		t.Error("a network without classes lost them")
	}
}

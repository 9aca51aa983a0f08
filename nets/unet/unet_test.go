package unet

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/netstest"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// fixtureGraph builds the graph of a fixture in float64 and gives it values.
func fixtureGraph(t *testing.T, dir string) (g *nets.Graph, output netstest.Tensor) {
	t.Helper()
	c, flat, err := readModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	io := netstest.Tensors(t, filepath.Join(dir, "io.safetensors"))
	sample := io["sample"].NHWC()
	g, err = nets.Build(c, nets.BuildOptions{Batch: sample.Shape[0], Height: sample.Shape[1], Width: sample.Shape[2], Dtype: tensor.Float64})
	if err != nil {
		t.Fatal(err)
	}
	if g.Concat == nil {
		netstest.Let(t, g.Sample, sample.Values)
	} else { // the channels behind those of the output
		own, all := g.Sample.Shape()[3], sample.Shape[3]
		var parts [2][]float64
		for i, x := range sample.Values {
			part := 0
			if i%all >= own {
				part = 1
			}
			parts[part] = append(parts[part], x)
		}
		netstest.Let(t, g.Sample, parts[0])
		netstest.Let(t, g.Concat, parts[1])
	}
	netstest.Let(t, g.Time, io["timestep"].Values)
	if g.Class != nil {
		netstest.Let(t, g.Class, io["class_labels"].Values)
	}
	netstest.LetWeights(t, g, flat)
	return g, io["output"].NHWC()
}

// compare fails where values differ by more than the tolerance.
func compare(t *testing.T, name string, got gorgonia.Value, want []float64, tolerance float64) {
	t.Helper()
	values, ok := got.Data().([]float64)
	if !ok || len(values) != len(want) {
		t.Errorf("%s: %d values of type %T, want %d of float64", name, len(values), got.Data(), len(want))
		return
	}
	worst := 0.0
	for i, w := range want {
		worst = max(worst, math.Abs(values[i]-w)) // NaN stays NaN
	}
	if !(worst <= tolerance) {
		t.Errorf("%s: off by %.2g, want at most %.2g", name, worst, tolerance)
	}
}

// largest is the largest magnitude.
func largest(values []float64) float64 {
	m := 0.0
	for _, v := range values {
		m = max(m, math.Abs(v))
	}
	return m
}

// TestForward runs each network of diffusers on Gorgonia's own machine. The
// recorded outputs are float64 throughout.
func TestForward(t *testing.T) {
	for _, dir := range fixtures(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			g, want := fixtureGraph(t, dir)
			output := netstest.Whole(g)
			vm := gorgonia.NewTapeMachine(g.G)
			defer vm.Close()
			if err := vm.RunAll(); err != nil {
				t.Fatal(err)
			}
			compare(t, "output", output.Value(), want.Values, 1e-12*largest(want.Values))
		})
	}
}

// TestGradients compares the gradients of Σ output·cotangent with those of
// PyTorch, which were computed in float64 and stored in float32.
func TestGradients(t *testing.T) {
	files, _ := filepath.Glob("testdata/diffusers/*/grads.safetensors")
	if len(files) == 0 {
		t.Fatal("no gradients under testdata/diffusers")
	}
	for _, path := range files {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			g, _ := fixtureGraph(t, dir)
			want := netstest.Tensors(t, path)
			cotangent := gorgonia.NewTensor(g.G, tensor.Float64, 4, gorgonia.WithShape(g.Output.Shape()...), gorgonia.WithName("cotangent"))
			netstest.Let(t, cotangent, want["cotangent"].NHWC().Values)
			loss := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(g.Output, cotangent))))
			grads, err := gorgonia.Grad(loss, append([]*gorgonia.Node{g.Sample}, g.Nodes...)...)
			if err != nil {
				t.Fatal(err)
			}
			vm := gorgonia.NewTapeMachine(g.G)
			defer vm.Close()
			if err := vm.RunAll(); err != nil {
				t.Fatal(err)
			}
			dx := want["sample"].NHWC().Values
			compare(t, "sample", grads[0].Value(), dx, 1e-7*largest(dx))
			for i, p := range g.Params {
				w := want[p.Name].Values
				if p.Fixed {
					w = make([]float64, p.Size())
				}
				if key, ok := strings.CutSuffix(p.Name, ".to_k.bias"); ok {
					// It adds the same number to all scores of a query, which the softmax
					// takes away again: the gradient is zero, and what is left is rounding.
					compare(t, p.Name, grads[i+1].Value(), make([]float64, p.Size()), 1e-12*largest(want[key+".to_q.bias"].Values))
					continue
				}
				w = inGraph(p, w)
				compare(t, p.Name, grads[i+1].Value(), w, 1e-7*largest(w))
			}
		})
	}
}

// inGraph is what a file has of a parameter, in float32, as the graph has it.
func inGraph(p nets.Param, stored []float64) []float64 {
	src, flat := make([]float32, len(stored)), make([]float32, len(stored))
	for i, v := range stored {
		src[i] = float32(v)
	}
	p.Offset = 0
	nets.FromStored(p, src, flat)
	w := make([]float64, len(stored))
	for i, v := range flat {
		w[i] = float64(v)
	}
	return w
}

// TestEveryParameterIsUsed: each reaches the output, in every preset and kind
// of block.
func TestEveryParameterIsUsed(t *testing.T) {
	configs := map[string]Config{}
	for _, name := range presetNames() {
		c, _ := Preset(name)
		configs[name] = c
		configs[name+" with classes"] = c.WithClasses(3)
	}
	for _, dir := range fixtures(t) {
		c, err := readConfig(dir)
		if err != nil {
			t.Fatal(err)
		}
		configs[filepath.Base(dir)] = c
	}
	for name, c := range configs {
		g, err := nets.Build(c, nets.BuildOptions{Batch: 2})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, n := range g.Nodes {
			if n.Name() != g.Params[i].Name || !n.Shape().Eq(g.Params[i].Shape) {
				t.Errorf("%s: node %s %v stands for parameter %s %v", name, n.Name(), n.Shape(), g.Params[i].Name, g.Params[i].Shape)
			}
			if g.G.To(n.ID()).Len() == 0 {
				t.Errorf("%s: nothing uses %s", name, n.Name())
			}
		}
		want := g.Sample.Shape().Clone()
		want[3] = c.OutChannels
		if output := netstest.Whole(g); (g.Class != nil) != c.Conditional() || !output.Shape().Eq(want) || c.variance() != (g.Variance != nil) {
			t.Errorf("%s: class %v, output %v; want %v, %v", name, g.Class, g.Output.Shape(), c.Conditional(), want)
		}
	}
}

func TestBuildErrors(t *testing.T) {
	c, _ := Preset("cifar")
	broken := c.WithSize(32)
	broken.ActFn = "elu"
	sizeless := c.WithSize(32)
	sizeless.SampleSize = nil
	for _, e := range []struct {
		config  Config
		options nets.BuildOptions
		want    string
	}{
		{broken, nets.BuildOptions{Batch: 1}, "act_fn"},
		{c, nets.BuildOptions{}, "batch is 0"},
		{c, nets.BuildOptions{Batch: 1, Height: 32, Width: 20}, "want positive multiples of 8"},
		{c, nets.BuildOptions{Batch: 1, Height: 32}, "images of 32×0"},
		{sizeless, nets.BuildOptions{Batch: 1}, "images of 0×0"},
		{c, nets.BuildOptions{Batch: 1, Dtype: tensor.Int}, "want float32 or float64"},
	} {
		if _, err := nets.Build(e.config, e.options); err == nil || !strings.Contains(err.Error(), e.want) {
			t.Errorf("error %v, want %q", err, e.want)
		}
	}
}

package mlp

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"fluxion/nets"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestConfig: what is written is read again, and what cannot be built is refused by its key.
func TestConfig(t *testing.T) {
	n, err := Default().Fit(nets.Spec{Height: 3, Width: 5, Channels: 2, Classes: 4, Estimate: true})
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseConfig(n.JSON())
	if err != nil || string(back.JSON()) != string(n.JSON()) || back.Spec() != n.Spec() || !n.Spec().Estimate {
		t.Errorf("read again it is %+v, %v", back, err)
	}
	for _, c := range []struct{ json, key, want string }{
		{`{"sample_size": null}`, "sample_size", "want height and width"},
		{`{"sample_size": 5000}`, "sample_size", "1 to 4096"},
		{`{"hidden_size": 7}`, "hidden_size", "even"},
		{`{"hidden_size": 20000}`, "hidden_size", "2 to 16384"},
		{`{"num_blocks": 0}`, "num_blocks", "1 to 256"},
		{`{"channels": -1}`, "channels", "1 to 16384"},
		{`{"num_class_embeds": 2000000000}`, "num_class_embeds", "0 to"},
		{`{"sample_size": 4096, "channels": 16384, "hidden_size": 16384}`, "hidden_size", "weights for samples of 274877906944 numbers"},
		{`{"hidden_sise": 64}`, "hidden_sise", "did you mean hidden_size?"},
		{`{"_class_name": "UNet2DModel"}`, "_class_name", "only FluxionMLP"},
		{`{"_self_conditioning": 1}`, "_self_conditioning", "true or false"},
		{`{"_class_embed_type": "table"}`, "_class_embed_type", `want "timestep" or "identity"`},
		{`{"_class_embed_type": "identity", "num_class_embeds": 3}`, "_class_embed_type", "one of the two"},
	} {
		_, err := ParseConfig([]byte(c.json))
		var fault *nets.ConfigError
		if !errors.As(err, &fault) || fault.Key != c.key || !strings.Contains(fault.Problem, c.want) {
			t.Errorf("%s: error %v, want %q about %s", c.json, err, c.want, c.key)
		}
	}
	if err := n.Spec().CheckSize("it", 8, 8); err == nil || n.Spec().CheckSize("it", 3, 5) != nil {
		t.Errorf("a network for 5×3 pixels takes 8×8: %v", err)
	}
}

// TestByHand has the network of one block and two hidden numbers by hand, told a class
// and its estimate.
func TestByHand(t *testing.T) {
	c := Config{SampleSize: []int{1}, Channels: 2, HiddenSize: 2, NumBlocks: 1, NumClassEmbeds: 3, Meta: map[string]any{nets.SelfConditioning: true}}
	g, err := nets.Build(c, nets.BuildOptions{Batch: 1, Dtype: tensor.Float64})
	if err != nil {
		t.Fatal(err)
	}
	weights := map[string][]float64{ // (in,out)
		"proj_in.weight": {1, 2, 3, 4, -0.5, 0.7, 0.2, -1}, "proj_in.bias": {0.5, -0.5},
		"time_embedding.linear_1.weight": {0.1, 0.2, 0.3, 0.4}, "time_embedding.linear_1.bias": {0.1, 0},
		"time_embedding.linear_2.weight": {1, 0, 0, -1}, "time_embedding.linear_2.bias": {0, 0.2},
		nets.ClassTable:            {5, 6, 0.4, -0.9, 7, 8},
		"blocks.0.linear_1.weight": {0.3, -0.2, 0.1, 0.4}, "blocks.0.linear_1.bias": {0, 0.1},
		"blocks.0.time_emb_proj.weight": {1, 2, -1, 0.5}, "blocks.0.time_emb_proj.bias": {0.3, 0},
		"blocks.0.linear_2.weight": {0.5, 0.6, -0.7, 0.8}, "blocks.0.linear_2.bias": {0.1, 0.2},
		"proj_out.weight": {2, -1, 1, 3}, "proj_out.bias": {0.25, 0},
	}
	let := func(n *gorgonia.Node, v []float64) {
		if err := gorgonia.Let(n, tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(slices.Clone(v)))); err != nil {
			t.Fatal(n.Name(), err)
		}
	}
	for i, p := range g.Params {
		let(g.Nodes[i], weights[p.Name])
	}
	if len(g.Params) != len(weights) {
		t.Fatalf("%d parameters, want %d", len(g.Params), len(weights))
	}
	x, estimate, time, class := []float64{0.3, -0.8}, []float64{0.6, 0.1}, 1.25, 1
	let(g.Sample, x)
	let(g.Estimate, estimate)
	let(g.Time, []float64{time})
	let(g.Class, []float64{float64(class)})
	vm := gorgonia.NewTapeMachine(g.G)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	linear := func(name string, x []float64) []float64 {
		w, y := weights[name+".weight"], slices.Clone(weights[name+".bias"])
		for i, v := range x {
			y[0], y[1] = y[0]+v*w[2*i], y[1]+v*w[2*i+1]
		}
		return y
	}
	silu := func(x []float64) []float64 {
		return []float64{x[0] / (1 + math.Exp(-x[0])), x[1] / (1 + math.Exp(-x[1]))}
	}
	add := func(a, b []float64) []float64 { return []float64{a[0] + b[0], a[1] + b[1]} }
	embedding := linear("time_embedding.linear_2", silu(linear("time_embedding.linear_1", []float64{math.Cos(time), math.Sin(time)})))
	embedding = silu(add(embedding, weights[nets.ClassTable][2*class:]))
	h := linear("proj_in", slices.Concat(x, estimate))
	r := add(linear("blocks.0.linear_1", silu(h)), linear("blocks.0.time_emb_proj", embedding))
	want := linear("proj_out", silu(add(h, linear("blocks.0.linear_2", silu(r)))))
	for i, got := range g.Output.Value().Data().([]float64) {
		if math.Abs(got-want[i]) > 1e-12 {
			t.Errorf("output %d is %v, want %v", i, got, want[i])
		}
	}
}

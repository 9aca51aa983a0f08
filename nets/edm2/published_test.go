package edm2

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/safetensors"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func read(t *testing.T, f *safetensors.File, name string) []float64 {
	t.Helper()
	s, ok := f.Lookup(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	v := make([]float64, s.Elements())
	if s.Dtype == safetensors.I64 {
		whole := make([]int64, len(v))
		if err := f.ReadInt64(name, whole); err != nil {
			t.Fatal(err)
		}
		for i, x := range whole {
			v[i] = float64(x)
		}
		return v
	}
	if err := f.ReadFloat64(name, v); err != nil {
		t.Fatal(err)
	}
	return v
}

// nhwc turns (N,C,H,W) into (N,H,W,C).
func nhwc(v []float64, s tensor.Shape) []float64 {
	out := make([]float64, len(v))
	pixels, c := s[1]*s[2], s[3]
	for i, x := range v {
		image, channel, pixel := i/(c*pixels), i/pixels%c, i%pixels
		out[(image*pixels+pixel)*c+channel] = x
	}
	return out
}

func let(t *testing.T, n *gorgonia.Node, v []float64) {
	t.Helper()
	if err := gorgonia.Let(n, tensor.New(tensor.WithShape(n.Shape()...), tensor.WithBacking(v))); err != nil {
		t.Fatal(n.Name(), err)
	}
}

// TestForward: a network with EDM2's names gives what scripts/edm_networks.py, which is written
// from the paper, says of it in float64.
func TestForward(t *testing.T) {
	dir := filepath.Join("testdata", "edm2")
	n, flat, err := nets.Classes{Published()}.ReadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := nets.Build(n, nets.BuildOptions{Batch: 2, Dtype: tensor.Float64})
	if err != nil {
		t.Fatal(err)
	}
	io, err := safetensors.Open(filepath.Join(dir, "io.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer io.Close()
	let(t, g.Sample, nhwc(read(t, io, "sample"), g.Sample.Shape()))
	let(t, g.Time, read(t, io, "timestep"))
	let(t, g.Class, read(t, io, "class_labels"))
	for i, p := range g.Params {
		w := make([]float64, p.Size())
		for k := range w {
			w[k] = float64(flat[p.Offset+k])
		}
		let(t, g.Nodes[i], w)
	}
	vm := gorgonia.NewTapeMachine(g.G)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	want, worst, largest := nhwc(read(t, io, "output"), g.Output.Shape()), 0., 0.
	for i, x := range g.Output.Value().Data().([]float64) {
		worst, largest = max(worst, math.Abs(x-want[i])), max(largest, math.Abs(want[i]))
	}
	if !(worst <= 1e-6*largest) {
		t.Errorf("off by %g of %g", worst, largest)
	}
}

// TestBadFolders are refused by what is wrong with them.
func TestBadFolders(t *testing.T) {
	good, err := os.ReadFile("testdata/edm2/config.json")
	if err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile("testdata/edm2/diffusion_pytorch_model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"img_resolution", 0, "want 1 to 4096"},
		{"label_dim", -1, "want 0 to"},
		{"label_dim", 4, "want 64 numbers"},
		{"label_dim", 0, "config.json does not describe, unet.emb_label.weight"},
		{"resample_filter", []int{1, 3, 3, 1}, "supported: [1, 1]"},
		{"num_blocks", 2, "want "},
		{"channel_mult", make([]int, 20), "want at most 13"},
		{"attn_resolutions", []int{}, "config.json does not describe, unet.dec.8x8_block0.attn"},
		{"widen", true, "is not one of EDM2Precond"},
	} {
		keys := map[string]any{}
		if err := json.Unmarshal(good, &keys); err != nil {
			t.Fatal(err)
		}
		keys[c.key] = c.value
		config, _ := json.Marshal(keys)
		dir := t.TempDir()
		for name, data := range map[string][]byte{"config.json": config, "diffusion_pytorch_model.safetensors": weights} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := (nets.Classes{Published()}).ReadModel(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: %v, want %q", c.key, c.value, err, c.want)
		}
	}
}

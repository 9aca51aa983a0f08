package edm

import (
	"encoding/json"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/safetensors"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// guidedCase is a network of scripts/guided_networks.py, whose weights follow from a formula.
type guidedCase struct {
	Config map[string]any   `json:"config"`
	Shapes map[string][]int `json:"shapes"`
	Output []float64        `json:"output"` // every seventh number
}

func guidedCases(t *testing.T) (all map[string]guidedCase) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "guided.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func formula(n int, shift float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = math.Cos(float64(1.7*float64(i)) + shift)
	}
	return v
}

// folder writes a network, with changes to its configuration.
func (g guidedCase) folder(t *testing.T, change map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	config := maps.Clone(g.Config)
	config["_class_name"] = guidedName
	maps.Copy(config, change)
	data, _ := json.Marshal(config)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o666); err != nil {
		t.Fatal(err)
	}
	var tensors []safetensors.Tensor
	values := map[string][]float32{}
	for i, name := range slices.Sorted(maps.Keys(g.Shapes)) {
		shape := g.Shapes[name]
		n, in := tensor.Shape(shape).TotalSize(), 1
		for _, d := range shape[1:] {
			in *= d
		}
		for _, x := range formula(n, float64(i)) {
			switch {
			case len(shape) > 1:
				x /= math.Sqrt(float64(in))
			case strings.HasSuffix(name, ".weight"):
				x = float64(0.2*x) + 1
			default:
				x *= 0.2
			}
			values[name] = append(values[name], float32(x))
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: shape})
	}
	f, err := os.Create(filepath.Join(dir, "diffusion_pytorch_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := safetensors.Write(f, tensors, nil, func(x safetensors.Tensor, w io.Writer) error { return safetensors.WriteFloat32(w, values[x.Name]) }); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestGuided: networks with the names of guided-diffusion give what modules of PyTorch, written
// from the paper, say of them in float64.
func TestGuided(t *testing.T) {
	for name, c := range guidedCases(t) {
		n, flat, err := nets.Classes{Guided()}.ReadModel(c.folder(t, nil))
		if err != nil {
			t.Fatal(name, err)
		}
		g, err := nets.Build(n, nets.BuildOptions{Batch: 2, Dtype: tensor.Float64})
		if err != nil {
			t.Fatal(name, err)
		}
		s := g.Sample.Shape()
		sample := formula(s.TotalSize(), 0.5)
		for i, x := range sample {
			sample[i] = float64(float32(x))
		}
		let(t, g.Sample, nhwc(sample, s))
		let(t, g.Time, []float64{10, 730})
		if g.Class != nil {
			let(t, g.Class, []float64{1, 2})
		}
		for i, p := range g.Params {
			w := make([]float64, p.Size())
			for k := range w {
				w[k] = float64(flat[p.Offset+k])
			}
			let(t, g.Nodes[i], w)
		}
		vm := gorgonia.NewTapeMachine(g.G)
		if err := vm.RunAll(); err != nil {
			t.Fatal(name, err)
		}
		got, worst, largest := g.Output.Value().Data().([]float64), 0., 0.
		for k, want := range c.Output {
			at := 7 * k
			pixels := s[1] * s[2]
			image, channel, pixel := at/(3*pixels), at/pixels%3, at%pixels
			worst, largest = max(worst, math.Abs(got[(image*pixels+pixel)*3+channel]-want)), max(largest, math.Abs(want))
		}
		if !(worst <= 1e-6*largest) || len(c.Output) < 200 {
			t.Errorf("%s: off by %g of %g", name, worst, largest)
		}
		vm.Close()
	}
}

// TestBadGuided are refused by what is wrong with them.
func TestBadGuided(t *testing.T) {
	good := guidedCases(t)["new order"]
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"image_size", 0, "want 1 to 4096"},
		{"num_channels", 40, "multiple of 32"},
		{"channel_mult", []int{}, "say 1 to 13"},
		{"num_head_channels", 0, "how many channels a head has"},
		{"num_classes", -1, "want 0 to"},
		{"num_classes", 4, "want 512 numbers"},
		{"num_res_blocks", 2, "want 32 numbers"},
		{"learn_sigma", false, "numbers"},
		{"resblock_updown", false, "lacks "},
		{"attention_resolutions", []int{}, "lacks output_blocks.1.1"},
		{"widen", true, "is not one of GuidedUNet"},
	} {
		if _, _, err := (nets.Classes{Guided()}).ReadModel(good.folder(t, map[string]any{c.key: c.value})); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: %v, want %q", c.key, c.value, err, c.want)
		}
	}
}

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
	"fluxion/nets/netstest"
	"fluxion/nets/safetensors"
	"fluxion/nets/unet"

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
		size := int(c.Config["image_size"].(float64))
		images := netstest.Tensor{Shape: []int{2, 3, size, size}, Values: formula(2*3*size*size, 0.5)}
		for i, x := range images.Values {
			images.Values[i] = float64(float32(x))
		}
		out := netstest.Output(t, n, flat, images, []float64{10, 730}, []float64{1, 2})
		back := netstest.Tensor{Shape: []int{2, size, size, 3}, Values: out}.NCHW().Values
		var got []float64
		for i := 0; i < len(back); i += 7 {
			got = append(got, back[i])
		}
		netstest.Near(t, name, got, c.Output, 1e-6)
	}
}

// TestGuidedHeads: a number of heads is UNet2DModel's size of one where attentions are of one
// width; where they are not, and where there are other cosines of the time than channels, the
// network says what diffusers has not.
func TestGuidedHeads(t *testing.T) {
	for _, c := range []struct {
		config, has, beyond string
		weights             int
	}{
		{`"image_size": 64, "num_channels": 192, "num_res_blocks": 3, "attention_resolutions": [8], "num_classes": 1000, "num_heads": 6`, `"attention_head_dim": 128`, "", 0},
		// Table 11 of the paper: 422 and 559 million, with the half of conv_out that is a variance,
		// and without a row of the classes for none.
		{`"image_size": 128, "num_channels": 256, "attention_resolutions": [32, 16, 8], "num_classes": 1000, "num_heads": 4, "resblock_updown": true`, `"_attention_heads": 4`, "one number of heads", 422},
		{`"image_size": 512, "num_channels": 256, "attention_resolutions": [32, 16, 8], "num_classes": 1000, "num_head_channels": 64, "resblock_updown": true`, `"_time_channels": 256`, "sines and cosines", 559},
	} {
		n, err := nets.Classes{Guided()}.Parse([]byte(`{"_class_name": "GuidedUNet", ` + c.config + `}`))
		if err != nil {
			t.Error(c.config, err)
			continue
		}
		if text := string(n.JSON()); !strings.Contains(text, c.has) {
			t.Errorf("%s: it has not %s: %s", c.config, c.has, text)
		}
		if got := n.(interface{ Beyond() string }).Beyond(); !strings.Contains(got, c.beyond) || (got == "") != (c.beyond == "") {
			t.Errorf("%s: it is beyond diffusers by %q, want %q", c.config, got, c.beyond)
		}
		if got := int(math.Round(float64(nets.Count(nets.Params(n))) / 1e6)); c.weights != 0 && (got < c.weights || got > c.weights+1) {
			t.Errorf("%s: %d million weights, want %d", c.config, got, c.weights)
		}
		back, err := nets.Classes{unet.Class()}.Parse(n.JSON())
		if err != nil || string(back.JSON()) != string(n.JSON()) {
			t.Errorf("%s: read again: %v", c.config, err)
		}
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
		{"num_channels", 40, "makes 40 channels at level 0 of channel_mult; norms of 32 groups want multiples of 32"},
		{"num_channels", 1 << 20, "num_channels: is 1048576, want 2 to 16384"},
		{"num_channels", 33, "want an even number"},
		{"channel_mult", []int{}, "say 1 to 13"},
		{"channel_mult", []float64{1, 0}, "want 1 to 16384 channels a level"},
		{"channel_mult", []float64{0.5, 1}, "makes 16 channels at level 0"},
		{"num_head_channels", 0, "want 1 to 16384, or -1 for num_heads"},
		{"num_head_channels", 48, "num_head_channels: is 48, which does not divide the 64 channels of level 1"},
		{"attention_resolutions", []int{0}, "attention_resolutions: is [0], want numbers from 1"},
		{"num_res_blocks", 0, "num_res_blocks: is 0, want 1 to"},
		{"dropout", 2, "dropout: is 2, want a share"},
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

package edm

import (
	"encoding/json"
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

func read64(t *testing.T, f *safetensors.File, name string) []float64 {
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

// TestForward: networks with EDM's names give what scripts/edm_networks.py, which is written
// from the papers, says of them in float64.
func TestForward(t *testing.T) {
	for _, name := range []string{"ddpmpp", "ncsnpp"} {
		dir := filepath.Join("testdata", name)
		n, flat, err := nets.Classes{Class()}.ReadModel(dir)
		if err != nil {
			t.Fatal(err)
		}
		g, err := nets.Build(n, nets.BuildOptions{Batch: 2, Dtype: tensor.Float64})
		if err != nil {
			t.Fatal(name, err)
		}
		io, err := safetensors.Open(filepath.Join(dir, "io.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		let(t, g.Sample, nhwc(read64(t, io, "sample"), g.Sample.Shape()))
		let(t, g.Time, read64(t, io, "timestep"))
		if g.Class != nil {
			let(t, g.Class, read64(t, io, "class_labels"))
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
		want, worst, largest := nhwc(read64(t, io, "output"), g.Output.Shape()), 0., 0.
		for i, x := range g.Output.Value().Data().([]float64) {
			worst, largest = max(worst, math.Abs(x-want[i])), max(largest, math.Abs(want[i]))
		}
		if !(worst <= 1e-6*largest) { // rows of a table of classes are rounded to float32
			t.Errorf("%s: off by %g of %g", name, worst, largest)
		}
		vm.Close()
		io.Close()
	}
}

// TestFile: the file of weights alone, given with its configuration, is the same model as the folder.
func TestFile(t *testing.T) {
	dir := filepath.Join("testdata", "ddpmpp")
	_, want, err := nets.Classes{Class()}.ReadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := nets.OpenTensors(filepath.Join(dir, "diffusion_pytorch_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, flat, err := (nets.Classes{Class()}).ReadTensors(config, f); err != nil || n.ClassName() != "FluxionSongUNet" || !slices.Equal(flat, want) {
		t.Errorf("%v, %v", n, err)
	}
}

// TestADM: every parameter of ImageNet-64's UNet2DModel lies somewhere, and all of the file's
// tensors but those of three maps in one are used once.
func TestADM(t *testing.T) {
	config := `{"_class_name": "EDMPrecond", "img_resolution": 64, "label_dim": 1000, "model_type": "DhariwalUNet"}`
	n, err := nets.Classes{Class()}.Parse([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	params := nets.Params(n)
	if got := nets.Count(params); got != 295_899_267+768 || n.ClassName() != "UNet2DModel" || n.Spec().Classes != 1001 { // and a class for none
		t.Errorf("%s of %d weights and %d classes", n.ClassName(), got, n.Spec().Classes)
	}
	a, _, err := read([]byte(config), nil)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, p := range params {
		s := a.source(p)
		if was, twice := names[s.Names[0]]; twice && s.Make == nil || len(s.Names) != 1 || s.Names[0] == p.Name {
			t.Errorf("%s and %s lie in %v", p.Name, was, s.Names)
		}
		names[s.Names[0]] = p.Name
	}
	for of, want := range map[string]string{
		"enc.64x64_conv.weight": "conv_in.weight", "enc.32x32_down.conv0.weight": "down_blocks.0.downsamplers.0.conv1.weight",
		"enc.32x32_block2.norm2.bias": "down_blocks.1.attentions.2.group_norm.bias", "dec.8x8_in0.proj.weight": "mid_block.attentions.0.to_out.0.weight",
		"dec.16x16_up.affine.bias": "up_blocks.0.upsamplers.0.time_emb_proj.bias", "dec.64x64_block3.skip.weight": "up_blocks.3.resnets.3.conv_shortcut.weight",
		"out_norm.weight": "conv_norm_out.weight", "map_layer1.bias": "time_embedding.linear_2.bias", "map_label.weight": nets.ClassTable,
	} {
		if names[of] != want {
			t.Errorf("%s is %q, want %s", of, names[of], want)
		}
	}
}

// TestBadFolders are refused by what is wrong with them.
func TestBadFolders(t *testing.T) {
	good, err := os.ReadFile("testdata/ncsnpp/config.json")
	if err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile("testdata/ncsnpp/diffusion_pytorch_model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"model_type", "VAE", "supported: SongUNet, DhariwalUNet"},
		{"img_resolution", 0, "want 1 to 4096"},
		{"decoder_type", "skip", "supported: standard"},
		{"encoder_type", "skip", "supported: standard, residual"},
		{"label_dim", -1, "want 0 to"},
		{"model_type", "DhariwalUNet", "want 128 channels or more"},
		{"resample_filter", []int{1, 2}, "read the same from behind"},
		{"label_dim", 3, "lacks map_label.weight, map_label.bias"},
		{"num_blocks", 2, "want 4608 numbers"},
		{"channel_mult", []int{2, 2}, "want "},
		{"encoder_type", "standard", "config.json does not describe, model.enc.8x8_aux_residual"},
		{"widen", true, "is not one of EDMPrecond"},
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
		if _, _, err := (nets.Classes{Class()}).ReadModel(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: %v, want %q", c.key, c.value, err, c.want)
		}
	}
}

func TestThird(t *testing.T) {
	if got := third([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 1); !slices.Equal(got, []float32{3, 4, 9, 10}) {
		t.Error(got)
	}
}

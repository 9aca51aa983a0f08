package edm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/netstest"
)

// TestForward: networks with EDM's names give what scripts/edm_networks.py, which is written
// from the papers, says of them in float64.
func TestForward(t *testing.T) {
	for _, name := range []string{"ddpmpp", "ncsnpp"} {
		dir := filepath.Join("testdata", name)
		n, flat, err := nets.Classes{Class()}.ReadModel(dir)
		if err != nil {
			t.Fatal(err)
		}
		io := netstest.Tensors(t, filepath.Join(dir, "io.safetensors"))
		got := netstest.Output(t, n, flat, io["sample"], io["timestep"].Values, io["class_labels"].Values)
		netstest.Near(t, name, got, io["output"].NHWC().Values, 1e-6) // rows of a table of classes are rounded to float32
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
		{"sigma_data", 0, "sigma_data: is 0, want a deviation above 0"},
		{"sigma_data", -1, "want a deviation above 0"},
		{"attn_resolutions", []int{16, -1}, "attn_resolutions: is [16 -1], want numbers from 1"},
		{"img_channels", 0, "img_channels: is 0, want 1 to"},
		{"model_channels", 0, "model_channels: is 0, want 4 to"},
		{"num_blocks", 0, "num_blocks: is 0, want 1 to"},
		{"channel_mult", []int{}, "has 0 levels, want 1 to 13"},
		{"channel_mult", []int{0, 1}, "want 1 to 16384 channels a level"},
		{"channel_mult_emb", 65, "channel_mult_emb: is 65, want 1 to 64"},
		{"augment_dim", -9, "augment_dim: is -9, want 0 to"},
		{"dropout", 1, "dropout: is 1, want a share"},
		{"label_dropout", 1.5, "label_dropout: is 1.5, want a share"},
		{"sigma_min", -1, "sigma_min: is -1"},
		{"sigma_max", 0, "sigma_max: is 0, want a noise level above"},
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

package edm2

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/netstest"
)

// TestForward: a network with EDM2's names gives what scripts/edm_networks.py, which is written
// from the paper, says of it in float64.
func TestForward(t *testing.T) {
	dir := filepath.Join("testdata", "edm2")
	n, flat, err := nets.Classes{Published()}.ReadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	io := netstest.Tensors(t, filepath.Join(dir, "io.safetensors"))
	got := netstest.Output(t, n, flat, io["sample"], io["timestep"].Values, io["class_labels"].Values)
	netstest.Near(t, "edm2", got, io["output"].NHWC().Values, 1e-6)
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
		{"sigma_data", 0, "sigma_data: is 0, want a deviation above 0"},
		{"attn_resolutions", []int{-1}, "attn_resolutions: is [-1], want numbers from 1"},
		{"logvar_channels", 1000000000, "logvar_channels: is 1000000000, want 1 to"},
		{"img_channels", 0, "img_channels: is 0, want 1 to"},
		{"channels_per_head", 0, "channels_per_head: is 0, want 1 to"},
		{"channels_per_head", 5, "channels_per_head: is 5, which makes 3 heads of 16 channels"},
		{"dropout", -0.1, "dropout: is -0.1, want a share"},
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

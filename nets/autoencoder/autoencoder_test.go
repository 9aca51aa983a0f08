package autoencoder_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/autoencoder"
	"fluxion/nets/autoencoder/autoencodertest"
	"fluxion/nets/safetensors"
)

// published are configurations of published autoencoders, with the weights that they have.
var published = map[string]struct {
	config  string
	weights int
}{
	"Stable Diffusion": {`{"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "sample_size": 512, LEVELS}`, 83_653_863},
	"Stable Diffusion 3": {`{"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "sample_size": 1024, "latent_channels": 16, "scaling_factor": 1.5305,
		"shift_factor": 0.0609, "use_quant_conv": false, "use_post_quant_conv": false, "latents_mean": null, LEVELS}`, 83_819_683},
}

func levels(config string) []byte {
	four := func(name string) string { return `["` + strings.Join(slices.Repeat([]string{name}, 4), `", "`) + `"]` }
	return []byte(strings.ReplaceAll(config, "LEVELS", `"down_block_types": `+four("DownEncoderBlock2D")+`, "up_block_types": `+four("UpDecoderBlock2D")))
}

// TestPublished: the numbers of weights are those of diffusers.
func TestPublished(t *testing.T) {
	for name, p := range published {
		c, err := autoencoder.Parse(levels(p.config))
		if err != nil {
			t.Fatal(name, err)
		}
		m, err := c.Empty()
		if err != nil {
			t.Fatal(name, err)
		}
		if n := nets.Count(m.Params); n != p.weights || c.Factor() != 8 {
			t.Errorf("%s: %d weights, factor %d; want %d and 8", name, n, c.Factor(), p.weights)
		}
	}
}

// TestScaling is that of diffusers' pipelines: shift_factor and scaling_factor, or means and
// deviations of each channel.
func TestScaling(t *testing.T) {
	for name, want := range map[string][2]float64{"sd": {0, 0.18215}, "flux": {0.1159, 0.3611}, "sdxl": {1.886, 0.13025 / 5.9022}} {
		shift, scale := autoencodertest.Read(t, name).Scaling()
		if shift[1] != want[0] || math.Abs(scale[1]-want[1]) > 1e-15 {
			t.Errorf("%s: shift %g and scale %g, want %v", name, shift[1], scale[1], want)
		}
	}
}

// TestScaled: EDM2's scaling makes of raw latents x·s + b, with s = 0.5/deviation and b = −mean·s of
// each channel, and a folder says so; what is no scaling, or of other channels, is refused.
func TestScaled(t *testing.T) {
	m := autoencodertest.Read(t, "sd")
	for text, want := range map[string][3][]float64{
		"edm2":            {{5.81, 3.25, 0.12, -2.15}, {4.17, 4.62, 3.71, 3.28}, {0.5}},
		"1,2,3,4/1,2,4,8": {{1, 2, 3, 4}, {1, 2, 4, 8}, {1}},
	} {
		s, err := autoencoder.ParseScaling(text)
		if err != nil {
			t.Fatal(err)
		}
		scaled, err := m.Scaled(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := autoencoder.Parse(scaled.JSON())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []autoencoder.Config{scaled.Config, back} {
			shift, scale := c.Scaling()
			for i, mean := range want[0] {
				if factor := want[2][0] / want[1][i]; shift[i] != mean || scale[i] != factor {
					t.Errorf("%s: channel %d is (x − %g)·%g, want (x − %g)·%g", text, i, shift[i], scale[i], mean, factor)
				}
			}
		}
		if scaled.Digest() == m.Digest() || m.LatentsMean != nil {
			t.Errorf("%s: the model is the same, or the given one is another", text)
		}
	}
	for text, want := range map[string]string{
		"": "has no deviations", "edm": "has no deviations", "1/2*": "ends with no number", "1,x/1,2": `has "x" among its numbers`, "1,2/3,4": "has 2 numbers, want one for each of the 4",
		"1,2,3,4/0,1,1,1": "deviations above 0", "1,2,3,4/1,1,1,1*0": "other than 0", "1,2,3,NaN/1,1,1,1": "finite",
	} {
		s, err := autoencoder.ParseScaling(text)
		if err == nil {
			_, err = m.Scaled(s)
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestFolder: a folder is read as it was written, in float32 to the byte of its config.json and
// the bit of its weights; as part of a pipeline, too, and with the names of early versions.
func TestFolder(t *testing.T) {
	m := autoencodertest.Read(t, "sd")
	dir := t.TempDir()
	vae := filepath.Join(dir, autoencoder.Dir)
	if err := os.Mkdir(vae, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := m.Write(vae, safetensors.F32); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, vae} {
		got, err := autoencoder.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.JSON(), m.JSON()) || !slices.Equal(got.Flat, m.Flat) {
			t.Errorf("%s is read as another", dir)
		}
	}
	weights := filepath.Join(vae, "diffusion_pytorch_model.safetensors")
	for _, change := range [][3]string{
		{".to_q.", ".query.", ""}, {".to_out.0.", ".proj_attn.", ""},
		{"encoder.conv_in.bias", "encoder.conv.bias", "lacks encoder.conv_in.bias; has, but config.json does not describe, encoder.conv.bias"},
	} {
		other := slices.Clone(m.Params)
		for i, p := range other {
			other[i].Name = strings.Replace(p.Name, change[0], change[1], 1)
		}
		var file bytes.Buffer
		if err := nets.WriteWeights(&file, safetensors.F32, other, m.Flat, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(weights, file.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		got, err := autoencoder.Read(vae)
		switch {
		case change[2] == "" && (err != nil || !slices.Equal(got.Flat, m.Flat)):
			t.Errorf("%s: %v", change[1], err)
		case change[2] != "" && (err == nil || !strings.Contains(err.Error(), change[2])):
			t.Errorf("%s: %v, want %q", change[1], err, change[2])
		}
	}
}

// TestRefused: what cannot be is refused by its key.
func TestRefused(t *testing.T) {
	for config, want := range map[string]string{
		`{"_class_name": "VQModel", "num_vq_embeddings": 3}`:                           "_class_name: is VQModel; of autoencoders, AutoencoderKL",
		`{"block_out_channels": [64, 64]}`:                                             "down_block_types: has 1 levels",
		`{"block_out_channels": [60]}`:                                                 "norm_num_groups: is 32, which does not divide the 60",
		`{"down_block_types": ["DownBlock2D"]}`:                                        "down_block_types: has DownBlock2D; supported: DownEncoderBlock2D",
		`{"up_block_types": ["AttnDownEncoderBlock2D"]}`:                               "up_block_types: has AttnDownEncoderBlock2D",
		`{"act_fn": "gelu"}`:                                                           "act_fn: is \"gelu\"",
		`{"scaling_factor": 0}`:                                                        "scaling_factor: is 0",
		`{"latents_mean": [1, 2, 3, 4]}`:                                               "latents_std: and latents_mean belong together",
		`{"latents_mean": [1, 2, 3], "latents_std": [1, 2, 3]}`:                        "latents_mean: has 3 numbers, want one for each of the 4",
		`{"latents_mean": [1, 2, 3, 4], "latents_std": [1, 0, 3, 4]}`:                  "latents_std: has 0",
		`{"latents_mean": "x"}`:                                                        "latents_mean: is \"x\", want a list of numbers or null",
		`{"out_channels": 1}`:                                                          "out_channels: is 1 and in_channels 3",
		`{"layers_per_block": 1000}`:                                                   "layers_per_block: is 1000",
		`{"sample_size": null}`:                                                        "sample_size: is []",
		`{"temporal_compression_ratio": 4}`:                                            "temporal_compression_ratio: is not one of AutoencoderKL",
		`{"block_out_channels": [8192], "layers_per_block": 32, "norm_num_groups": 1}`: "block_out_channels: is [8192], which makes",
	} {
		_, err := autoencoder.Parse([]byte(config))
		var fault *nets.ConfigError
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}

package unet

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"fluxion/nets"
)

// fixtures returns the folders of models that diffusers wrote.
func fixtures(t testing.TB) []string {
	t.Helper()
	configs, _ := filepath.Glob("testdata/diffusers/*/config.json")
	if len(configs) == 0 {
		t.Fatal("no models under testdata/diffusers; scripts/fixtures.py makes them")
	}
	var dirs []string
	for _, c := range configs {
		dirs = append(dirs, filepath.Dir(c))
	}
	return dirs
}

func TestConfigBytes(t *testing.T) {
	for _, dir := range fixtures(t) {
		want, err := os.ReadFile(filepath.Join(dir, configFile))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseConfig(want)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		if got := c.JSON(); !bytes.Equal(got, want) {
			t.Errorf("%s: written again it is\n%s", dir, got)
		}
	}
}

// google/ddpm-cifar10-32 as published: an early diffusers, which knew fewer keys.
const publishedCIFAR = `{
  "_class_name": "UNet2DModel",
  "_diffusers_version": "0.0.4",
  "act_fn": "silu",
  "attention_head_dim": null,
  "block_out_channels": [128, 256, 256, 256],
  "center_input_sample": false,
  "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
  "downsample_padding": 0,
  "flip_sin_to_cos": false,
  "freq_shift": 1,
  "in_channels": 3,
  "layers_per_block": 2,
  "mid_block_scale_factor": 1,
  "norm_eps": 1e-06,
  "norm_num_groups": 32,
  "out_channels": 3,
  "sample_size": 32,
  "time_embedding_type": "positional",
  "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]
}`

func TestPresetIsThePublishedOne(t *testing.T) {
	want, err := ParseConfig([]byte(publishedCIFAR))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Preset("cifar")
	if err != nil {
		t.Fatal(err)
	}
	want.Meta = got.Meta
	if !reflect.DeepEqual(got, want) {
		t.Errorf("preset cifar is\n%+v, want\n%+v", got, want)
	}
}

func TestConfigDefaults(t *testing.T) {
	got, err := ParseConfig([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Meta = map[string]any{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("an empty config is %+v, want %+v", got, want)
	}
	if _, err := ParseConfig([]byte(`{"_anything": [-Infinity, NaN]}`)); err != nil {
		t.Error(err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct{ json, key, want string }{
		{`{"norm_num_group": 32}`, "norm_num_group", "did you mean norm_num_groups?"},
		{`{"_class_name": "UNet2DConditionModel"}`, "_class_name", "only UNet2DModel"},
		{`{"in_channels": "3"}`, "in_channels", `is "3", want a whole number`},
		{`{"in_channels": 3.0}`, "in_channels", "is 3.0, want a whole number"},
		{`{"in_channels": null}`, "in_channels", "is null, want a whole number"},
		{`{"in_channels": 0}`, "in_channels", "at least 1"},
		{`{"sample_size": [32]}`, "sample_size", "want height and width"},
		{`{"sample_size": -1}`, "sample_size", "positive"},
		{`{"sample_size": "32"}`, "sample_size", "want a list of whole numbers or null"},
		{`{"attention_head_dim": 0}`, "attention_head_dim", "null or a positive number"},
		{`{"attention_head_dim": 500}`, "attention_head_dim", "more than the 448 channels of level 1"},
		{`{"class_embed_type": ""}`, "class_embed_type", "empty"},
		{`{"_flow_map": 1}`, "_flow_map", "true or false"},
		{`{"_flow_map": true}`, "class_embed_type", "\"timestep\" without classes"},
		{`{"_flow_map": true, "class_embed_type": "identity"}`, "class_embed_type", "null with them"},
		{`{"_jump_embedding": true, "class_embed_type": "timestep"}`, "_jump_embedding", "of a flow map"},
		{`{"_jump_embedding": true, "_flow_map": true, "num_class_embeds": 3}`, "_jump_embedding", "told numbers"},
		{`{"_jump_embedding": 1}`, "_jump_embedding", "true or false"},
		{`{"_flow_map": true, "class_embed_type": "timestep", "num_class_embeds": 3}`, "class_embed_type", "without classes"},
		{`{"_flow_map": true, "num_class_embeds": 3, "time_embedding_type": "learned", "num_train_timesteps": 10}`, "time_embedding_type", "positional"},
		{`{"class_embed_type": "projection"}`, "class_embed_type", "supported: timestep, identity, null"},
		{`{"center_input_sample": 1}`, "center_input_sample", "true or false"},
		{`{"down_block_types": "DownBlock2D"}`, "down_block_types", `is "DownBlock2D", want a list of strings`},
		{`{"down_block_types": ["DownBlock2D"]}`, "down_block_types", "has 1 levels, block_out_channels has 4"},
		{`{"up_block_types": []}`, "up_block_types", "has 0 levels"},
		{`{"block_out_channels": []}`, "block_out_channels", "is empty"},
		{`{"block_out_channels": [1.5]}`, "block_out_channels", "is [ 1.5 ], want a list of whole numbers"},
		{`{"block_out_channels": [224, 448, 672, -32]}`, "block_out_channels", "want positive"},
		{`{"down_block_types": ["DownBlock2D", "KDownBlock2D", "DownBlock2D", "DownBlock2D"]}`, "down_block_types",
			"has KDownBlock2D; supported: AttnDownBlock2D, AttnSkipDownBlock2D, DownBlock2D, ResnetDownsampleBlock2D, SkipDownBlock2D"},
		{`{"down_block_types": ["DownBlock2D", "SkipDownBlock2D", "DownBlock2D", "DownBlock2D"]}`, "down_block_types",
			"has SkipDownBlock2D behind DownBlock2D: the image that goes along is larger than the features there; want skip blocks from the first level on"},
		{`{"up_block_types": ["UpBlock2D", "SkipUpBlock2D", "UpBlock2D", "UpBlock2D"]}`, "up_block_types", "has UpBlock2D behind SkipUpBlock2D"},
		{`{"in_channels": 1, "out_channels": 1, "up_block_types": ["UpBlock2D", "UpBlock2D", "UpBlock2D", "SkipUpBlock2D"]}`, "in_channels", "skip blocks of diffusers are for 3"},
		{`{"block_out_channels": [32, 32], "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["AttnSkipUpBlock2D", "AttnSkipUpBlock2D"],
			"norm_num_groups": 4, "block_out_channels": [20, 32]}`, "up_block_types", "a norm of which has 32 groups of 52 channels"},
		{`{"up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"]}`, "up_block_types", "has CrossAttnUpBlock2D"},
		{`{"up_block_types": ["KUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"]}`, "up_block_types", "has KUpBlock2D"},
		{`{"act_fn": "elu"}`, "act_fn", "supported: gelu, mish, relu, silu, swish"},
		{`{"time_embedding_type": "rotary"}`, "time_embedding_type", "supported: positional, learned, fourier"},
		{`{"time_embedding_type": "fourier", "_flow_map": true, "class_embed_type": "timestep"}`, "time_embedding_type", "may be 0, which has no logarithm"},
		{`{"time_embedding_type": "fourier", "class_embed_type": "timestep"}`, "class_embed_type", "may be 0, which has no logarithm"},
		{`{"time_embedding_type": "learned"}`, "num_train_timesteps", "needs the number of its rows"},
		{`{"mid_block_type": "UNetMidBlock2DCrossAttn"}`, "mid_block_type", "supported: UNetMidBlock2D, null"},
		{`{"dropout": 1.5}`, "dropout", "below 1"},
		{`{"cross_attention_dim": 768}`, "cross_attention_dim", "--ignore-key cross_attention_dim"},
		{`{"layers_per_block": 65536}`, "layers_per_block", "at most 64"},
		{`{"layers_per_block": 64, "norm_num_groups": 1}`, "layers_per_block", "516 blocks in 4 levels"},
		{`{"sample_size": 65536}`, "sample_size", "at most 4096"},
		{`{"sample_size": [64, 65536]}`, "sample_size", "at most 4096"},
		{`{"num_train_timesteps": 1000000000}`, "num_train_timesteps", "at most 1048576"},
		{`{"num_train_timesteps": 1e300}`, "num_train_timesteps", "want a whole number"},
		{`{"num_class_embeds": 2147483647}`, "num_class_embeds", "at most"},
		{`{"time_embedding_dim": 2147483647}`, "time_embedding_dim", "at most"},
		{`{"in_channels": 2147483647}`, "in_channels", "at most"},
		{`{"block_out_channels": [32, 64, 128, 2147483616]}`, "block_out_channels", "at most 16384"},
		{`{"block_out_channels": [16384, 16384, 16384, 16384]}`, "block_out_channels", "weights, want at most"},
		{`{"block_out_channels": [` + strings.Repeat("32,", 64) + `32], "down_block_types": [` + strings.Repeat(`"DownBlock2D",`, 64) + `"DownBlock2D"], "up_block_types": [` +
			strings.Repeat(`"UpBlock2D",`, 64) + `"UpBlock2D"]}`, "block_out_channels", "has 65 levels, want at most 13"},
		{`{"norm_eps": NaN}`, "norm_eps", "positive"},
		{`{"norm_eps": -Infinity}`, "norm_eps", "positive"},
		{`{"mid_block_scale_factor": 0}`, "mid_block_scale_factor", "other than 0"},
		{`{"mid_block_scale_factor": Infinity}`, "mid_block_scale_factor", "finite"},
		{`{"freq_shift": 112}`, "freq_shift", "but half"},
		{`{"downsample_padding": 2}`, "downsample_padding", "supported are 0 and 1"},
		{`{"downsample_type": "fir"}`, "downsample_type", "conv, resnet"},
		{`{"upsample_type": "fir"}`, "upsample_type", "conv, resnet"},
		{`{"resnet_time_scale_shift": "ada_group"}`, "resnet_time_scale_shift", "default, scale_shift"},
		{`{"norm_num_groups": 33}`, "norm_num_groups", "does not divide the 224 channels of level 0"},
		{`{"attn_norm_num_groups": 33}`, "attn_norm_num_groups", "does not divide the 896 channels of the mid block"},
	} {
		_, err := ParseConfig([]byte(c.json))
		var fault *nets.ConfigError
		if !errors.As(err, &fault) || fault.Key != c.key || !strings.Contains(fault.Problem, c.want) {
			t.Errorf("%s: error %v, want %q about %s", c.json, err, c.want, c.key)
		}
	}
	for _, bad := range []string{"", "[]", `{"in_channels": }`} {
		if _, err := ParseConfig([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// Keys of other networks and versions that change nothing are left out and named.
func TestIgnoredKeys(t *testing.T) {
	for text, want := range map[string]string{
		`{"num_attention_heads": null}`:                        "num_attention_heads",
		`{"upcast_attention": false, "conv_in_kernel": 3}`:     "conv_in_kernel, upcast_attention",
		`{"decay": 0.9999, "power": 0.75, "inv_gamma": 1.0}`:   "decay, inv_gamma, power", // a unet_ema of diffusers' training script
		`{"cross_attention_dim": 768, "sample_size": 32}`:      "cross_attention_dim",     // insisted on
		`{"_class_name": "UNet2DModel", "_name_or_path": "x"}`: "",
	} {
		c, err := ParseConfig([]byte(text), "cross_attention_dim")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if notes := strings.Join(c.Notes(), "; "); want == "" && notes != "" || !strings.HasSuffix(notes, want) {
			t.Errorf("%s: notes %q, want %q", text, notes, want)
		}
		if strings.Contains(string(c.JSON()), "ignored") {
			t.Errorf("%s: notes are written into the configuration", text)
		}
	}
	if c, err := ParseConfig([]byte(`{"dropout": 0.1}`)); err != nil || c.Dropout.Value != 0.1 {
		t.Errorf("dropout, which sampling does not do: %v, %v", c.Dropout, err)
	}
}

// TestLargest: every bound at once is refused by the sum, which does not overflow.
func TestLargest(t *testing.T) {
	c := Default()
	c.BlockOutChannels, c.NormNumGroups, c.NumClassEmbeds = []int{nets.MostChannels, nets.MostChannels, nets.MostChannels, nets.MostChannels}, 1, nets.MostRows
	c.TimeEmbeddingDim, c.LayersPerBlock, c.InChannels, c.OutChannels = 4*nets.MostChannels, nets.MostLayers-1, nets.MostChannels, nets.MostChannels
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "weights, want at most 17179869184") || strings.Contains(err.Error(), "-") {
		t.Errorf("the largest of everything: %v", err)
	}
}

// FuzzParseConfig: a config.json is refused or can be written and read again; it
// does not panic, and what it makes is bounded.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(publishedCIFAR))
	for _, text := range []string{`{}`, `null`, `[`, `{"dropout": NaN}`, `{"sample_size": [65536, 65536]}`, `{"layers_per_block": 65536}`,
		`{"block_out_channels": [1e9]}`, `{"attention_head_dim": 9223372036854775807}`, `{"num_train_timesteps": 1000000000}`,
		`{"in_channels": -1, "_self_conditioning": true}`, `{"decay": {"a": []}, "x": null}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than a line: %v", err)
			}
			return
		}
		if n := nets.Count(nets.Params(c)); n <= 0 || n > nets.MostWeights {
			t.Fatalf("%d weights", n)
		}
		again, err := ParseConfig(c.JSON())
		if err != nil || string(again.JSON()) != string(c.JSON()) {
			t.Fatalf("written and read again: %v", err)
		}
	})
}

func TestPresets(t *testing.T) {
	for _, name := range presetNames() {
		c, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []Config{c, c.WithChannels(1), c.WithClasses(11), c.WithSize(64)} {
			again, err := ParseConfig(c.JSON())
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if !reflect.DeepEqual(again, c) {
				t.Errorf("%s: read again it is %+v, want %+v", name, again, c)
			}
		}
	}
	if _, err := Preset("cifer"); err == nil || !strings.Contains(err.Error(), "did you mean cifar?") {
		t.Errorf("error %v", err)
	}
	a, _ := Preset("tiny")
	if b := a.WithSize(64).WithChannels(1); a.SampleSize[0] != 32 || a.InChannels != 3 || b.SampleSize[0] != 64 || b.OutChannels != 1 {
		t.Error("adapting a preset changed it, or did nothing")
	}
}

// TestToldFlowMap: a flow map that is told numbers of an image has an embedding for each of the
// two, and is read again as it was; fitted to images without numbers it is told its jump in the
// place of a class.
func TestToldFlowMap(t *testing.T) {
	for _, condition := range []string{nets.Timestep, nets.Identity} {
		n, err := Default().Fit(nets.Spec{Height: 32, Width: 32, Channels: 3, Condition: condition, Jump: true})
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseConfig(n.JSON())
		if err != nil || back.Spec() != n.Spec() || n.Spec().Condition != condition || !n.Spec().Jump {
			t.Errorf("%s: read again it is %+v, %v", condition, back.Spec(), err)
		}
		has := func(n nets.Network, name string) bool {
			return slices.ContainsFunc(nets.Params(n), func(p nets.Param) bool { return p.Name == name+".linear_1.weight" })
		}
		if !has(n, "jump_embedding") || has(n, "class_embedding") != (condition == nets.Timestep) {
			t.Errorf("%s: embeddings of jump %v, of a class %v", condition, has(n, "jump_embedding"), has(n, "class_embedding"))
		}
		plain, err := n.Fit(nets.Spec{Height: 32, Width: 32, Channels: 3, Jump: true})
		if err != nil || plain.Spec().Condition != "" || !plain.Spec().Jump || has(plain, "jump_embedding") || !has(plain, "class_embedding") {
			t.Errorf("%s: without numbers %+v, %v", condition, plain.Spec(), err)
		}
	}
}

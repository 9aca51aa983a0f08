package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluxion/data/durable/durabletest"
	"fluxion/nets"
	"fluxion/nets/unet"
)

// modelFolder is a small pipeline as a run leaves it.
func modelFolder(t *testing.T) string {
	t.Helper()
	c, err := unet.Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	c = c.WithSize(8).WithClasses(3)
	flat := make([]float32, nets.FlatSize(nets.Params(c)))
	nets.Initialise(nets.Params(c), 1, flat)
	dir := t.TempDir()
	for _, sub := range []string{"unet", "scheduler", "training"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := nets.WriteModel(filepath.Join(dir, "unet"), c, nets.Params(c), flat); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"scheduler/scheduler_config.json": `{"_class_name": "FlowMatchEulerDiscreteScheduler"}`,
		"training/classes.json":           `["apple", "banana"]`,
		"model_index.json":                `{"_class_name": "DDPMPipeline"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	configOf    = "unet/config.json"
	weightsOf   = "unet/diffusion_pytorch_model.safetensors"
	indexOf     = "unet/diffusion_pytorch_model.safetensors.index.json"
	schedulerOf = "scheduler/scheduler_config.json"
	classesOf   = "training/classes.json"
)

// TestBrokenModels: whatever is wrong with a file of a model folder, every command that
// reads it says so in one line that names the file, exits with 3, and soon.
func TestBrokenModels(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	commands := map[string]func(dir, out string) []string{
		"sample": func(dir, out string) []string {
			return []string{"sample", "--model", dir, "--out", out, "--count", "1", "--steps", "1"}
		},
		"inspect": func(dir, _ string) []string { return []string{"inspect", "--model", dir} },
		"trace": func(dir, _ string) []string {
			return []string{"trace", "--scheduler", dir, "--steps", "2", "--denoiser", "gaussian", "--z", "1"}
		},
		"train": func(dir, out string) []string {
			return []string{"train", "--preset", dir, "--size", "8", "--images", "1", "--batch", "1", "--sample-count", "0", "--out", out}
		},
	}
	readers := map[string][]string{ // of each file
		configOf: {"sample", "inspect", "train"}, weightsOf: {"sample"}, indexOf: {"sample"}, schedulerOf: {"sample", "trace"}, classesOf: {"sample"},
	}
	huge := strings.Repeat("9", 400)
	texts := map[string][]string{ // beside those that break every file
		configOf: {`{"_class_name": 3}`, `{"_class_name": "AutoencoderKL"}`, `{"sample_size": 65536}`, `{"layers_per_block": 65536}`, `{"in_channels": ` + huge + `}`, `{"in_channels": "3"}`,
			`{"block_out_channels": {}}`, `{"block_out_channels": [` + huge + `]}`, `{"time_embedding_type": "learned", "num_train_timesteps": 1000000000}`, `{"norm_eps": NaN}`, `{"some_key": 1}`},
		weightsOf: {`{}`, "\xff\xff\xff\xff\xff\xff\xff\x7f{", "\x02\x00\x00\x00\x00\x00\x00\x00{}",
			"\x44\x00\x00\x00\x00\x00\x00\x00" + `{"conv_in.bias":{"dtype":"F32","shape":[9999999999,9999999999],"data_off`},
		indexOf: {`{}`, `{"weight_map": {}}`, `{"weight_map": {"conv_in.bias": "none.safetensors"}}`, `{"weight_map": {"conv_in.bias": 1}}`, `{"weight_map": ["a"]}`,
			`{"weight_map": {"conv_in.bias": "../../etc"}}`},
		schedulerOf: {`{}`, `{"_class_name": 1}`, `{"_class_name": "KarrasVeScheduler"}`, `{"_class_name": "DDPMScheduler", "beta_start": "x"}`,
			`{"_class_name": "DDPMScheduler", "num_train_timesteps": 1000000000}`, `{"_class_name": "DDIMScheduler", "num_train_timesteps": ` + huge + `}`,
			`{"_class_name": "DDIMScheduler", "trained_betas": [0.1, 0.2]}`, `{"_class_name": "DDPMScheduler", "predict_epsilon": false}`, `{"_class_name": "DDPMScheduler", "some_key": 1}`},
		classesOf: {`{}`, `[1, 2]`, `["a", "b", "c", "d", "e"]`, `"a"`},
	}
	for file, names := range readers {
		faults := map[string]func(path string) error{
			"missing":  os.Remove,
			"empty":    func(path string) error { return os.WriteFile(path, nil, 0o666) },
			"null":     func(path string) error { return os.WriteFile(path, []byte("null"), 0o666) },
			"a list":   func(path string) error { return os.WriteFile(path, []byte("[[]]"), 0o666) },
			"cut":      func(path string) error { return os.WriteFile(path, []byte(`{"a": [1, `), 0o666) },
			"binary":   func(path string) error { return os.WriteFile(path, []byte{0, 1, 0xff, 0xfe}, 0o666) },
			"a folder": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o777)) },
			"a pipe":   func(path string) error { return errors.Join(os.Remove(path), durabletest.Pipe(path)) },
			"endless":  func(path string) error { return os.Truncate(path, 1<<40) },
		}
		for i, text := range texts[file] {
			faults[fmt.Sprintf("text %d", i)] = func(path string) error { return os.WriteFile(path, []byte(text), 0o666) }
		}
		for fault, spoil := range faults {
			if file == classesOf && fault == "missing" {
				continue // other programs' models have none
			}
			dir := modelFolder(t)
			path := filepath.Join(dir, file)
			if file == indexOf {
				if err := os.Rename(filepath.Join(dir, weightsOf), path); err != nil {
					t.Fatal(err)
				}
			}
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				begin := time.Now()
				out, code, err := fluxion(t, commands[name](dir, filepath.Join(dir, "out"))...)
				what := fmt.Sprintf("%s of %s %s", name, file, fault)
				switch {
				case err == nil:
					t.Errorf("%s: no error: %s", what, out)
				case code != exitInput:
					t.Errorf("%s: exit %d, want %d: %v", what, code, exitInput, err)
				case strings.Contains(err.Error(), "\n"), strings.Contains(err.Error(), "Go "), strings.Contains(err.Error(), "strconv"), strings.Contains(err.Error(), " json: "), strings.Contains(err.Error(), "unmarshal"):
					t.Errorf("%s: no line for a user: %v", what, err)
				case !strings.Contains(err.Error(), dir) || len(err.Error()) > 2000:
					t.Errorf("%s: does not name the file: %v", what, err)
				}
				if took := time.Since(begin); took > 20*time.Second {
					t.Errorf("%s took %v", what, took)
				}
			}
		}
	}
}

// TestModelsOfOthers: what other versions and tools write beside the necessary is
// ignored and named; a folder is a preset by its network alone.
func TestModelsOfOthers(t *testing.T) {
	dir := modelFolder(t)
	rewrite := func(file, from, to string) {
		t.Helper()
		path := filepath.Join(dir, file)
		data, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(data), from) {
			t.Fatalf("%s has no %q: %v", path, from, err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(data), from, to, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	rewrite(configOf, "{", `{"num_attention_heads": null, "some_key": 7,`)
	rewrite(configOf, `"dropout": 0.0`, `"dropout": 0.25`)
	rewrite(schedulerOf, "{", `{"tensor_format": "pt", "timestep_values": null,`)
	if err := os.Rename(filepath.Join(dir, weightsOf), filepath.Join(dir, "unet/diffusion_pytorch_model.fp16.safetensors")); err != nil {
		t.Fatal(err)
	}
	sample := []string{"sample", "--model", dir, "--out", filepath.Join(dir, "out"), "--count", "1", "--steps", "1"}
	if _, code, err := fluxion(t, sample...); code != exitInput || !strings.Contains(err.Error(), "some_key") {
		t.Errorf("an unknown key: exit %d, %v", code, err)
	}
	const insist = "--ignore-key=some_key"
	for _, c := range []struct {
		args []string
		want []string
	}{
		{with(sample, insist), []string{"ignored num_attention_heads, some_key", "ignored tensor_format, timestep_values", "weights from diffusion_pytorch_model.fp16.safetensors"}},
		{[]string{"inspect", "--model", dir, insist}, []string{"ignored num_attention_heads, some_key"}},
		{[]string{"trace", "--scheduler", dir, "--steps", "2", "--denoiser", "gaussian", "--z", "1"}, []string{"tensor_format, timestep_values"}},
		{[]string{"train", "--preset", dir, insist, "--size", "8", "--images", "1", "--batch", "1", "--sample-count", "0", "--out", filepath.Join(dir, "run")},
			[]string{"ignored num_attention_heads, some_key", "its weights are not read", "dropout 0.25 of the network is left out"}},
		{[]string{"train", "--preset", filepath.Join(dir, "run"), "--size", "8", "--images", "1", "--batch", "1", "--sample-count", "0", "--out", filepath.Join(dir, "again")},
			[]string{"its weights are not read"}},
	} {
		out, code, err := fluxion(t, c.args...)
		if err != nil {
			t.Errorf("%v: exit %d, %v", c.args, code, err)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v: no %q in\n%s", c.args, want, out)
			}
		}
	}
}

// TestFiniteSettings: numbers that are none are refused before JSON would refuse them without a name.
func TestFiniteSettings(t *testing.T) {
	for want, args := range map[string][]string{
		`--lr: "inf", want a finite number`:    {"--lr", "inf"},
		`-s: lr: "nan", want a finite number`:  {"-s", "lr=nan"},
		`--decay: "nan", want a finite number`: {"--decay", "nan"},
	} {
		_, code, err := fluxion(t, append([]string{"train", "--dry-run"}, args...)...)
		if code != exitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: exit %d, %v; want %q", args, code, err, want)
		}
	}
}

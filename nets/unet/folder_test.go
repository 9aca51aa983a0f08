package unet

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/nets"
	"fluxion/nets/safetensors"
)

// TestFolderBytes reads each model of diffusers and writes it again, byte for byte.
func TestFolderBytes(t *testing.T) {
	for _, dir := range fixtures(t) {
		c, flat, err := readModel(dir)
		if err != nil {
			t.Error(err)
			continue
		}
		out := t.TempDir()
		if err := nets.WriteModel(out, c, nets.Params(c), flat); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{configFile, weightsFile} {
			want, _ := os.ReadFile(filepath.Join(dir, name))
			got, _ := os.ReadFile(filepath.Join(out, name))
			if !bytes.Equal(got, want) {
				t.Errorf("%s/%s differs after reading and writing", dir, name)
			}
		}
	}
}

// micro returns a small model and its folder.
func micro(t *testing.T) (dir string, c Config, flat []float32) {
	t.Helper()
	c, err := Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	params := nets.Params(c)
	flat = make([]float32, nets.FlatSize(params))
	nets.Initialise(params, 3, flat)
	dir = t.TempDir()
	if err := nets.WriteModel(dir, c, params, flat); err != nil {
		t.Fatal(err)
	}
	return dir, c, flat
}

// store writes tensors of a model under names and shapes of choice; a name of
// "" leaves one out.
func store(t *testing.T, path string, c Config, flat []float32, rename func(*safetensors.Tensor)) {
	t.Helper()
	var tensors []safetensors.Tensor
	values := map[string][]float32{}
	params := nets.Params(c)
	for i, tensor := range nets.Tensors(params) {
		p := params[i]
		if rename(&tensor); tensor.Name == "" {
			continue
		}
		v := make([]float32, p.Size())
		nets.ToStored(p, flat, v)
		values[tensor.Name] = v[:tensor.Elements()]
		tensors = append(tensors, tensor)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = safetensors.Write(f, tensors, nil, func(t safetensors.Tensor, w io.Writer) error {
		return safetensors.WriteFloat32(w, values[t.Name])
	})
	if err != nil {
		t.Fatal(err)
	}
}

func wantModel(t *testing.T, dir string, want []float32) {
	t.Helper()
	if _, got, err := readModel(dir); err != nil || !slices.Equal(got, want) {
		t.Errorf("error %v, or other weights than were written", err)
	}
}

func TestComponentFolder(t *testing.T) {
	dir, _, flat := micro(t)
	wantModel(t, dir, flat)
	pipeline := t.TempDir()
	if err := os.Rename(dir, filepath.Join(pipeline, "unet")); err != nil {
		t.Fatal(err)
	}
	wantModel(t, pipeline, flat)
}

func TestLegacyNames(t *testing.T) {
	dir, c, flat := micro(t)
	old := strings.NewReplacer(".to_q.", ".query.", ".to_k.", ".key.", ".to_v.", ".value.", ".to_out.0.", ".proj_attn.")
	store(t, filepath.Join(dir, weightsFile), c, flat, func(s *safetensors.Tensor) { s.Name = old.Replace(s.Name) })
	wantModel(t, dir, flat)
}

// TestWrappedNames: what PyTorch's DataParallel and torch.compile wrap has names within theirs.
func TestWrappedNames(t *testing.T) {
	for _, prefix := range []string{"module.", "_orig_mod.", "_orig_mod.module."} {
		dir, c, flat := micro(t)
		store(t, filepath.Join(dir, weightsFile), c, flat, func(s *safetensors.Tensor) { s.Name = prefix + s.Name })
		wantModel(t, dir, flat)
	}
}

func TestShards(t *testing.T) {
	dir, c, flat := micro(t)
	os.Remove(filepath.Join(dir, weightsFile))
	shards := []string{"a.safetensors", "b.safetensors"}
	weightMap := map[string]string{}
	for i, shard := range shards {
		store(t, filepath.Join(dir, shard), c, flat, func(s *safetensors.Tensor) {
			if len(s.Name)%2 != i {
				s.Name = ""
				return
			}
			weightMap[s.Name] = shard
		})
	}
	write := func() {
		index, _ := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": weightMap})
		if err := os.WriteFile(filepath.Join(dir, indexFile), index, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write()
	wantModel(t, dir, flat)
	weightMap["conv_in.bias"] = "../elsewhere.safetensors"
	write()
	if _, _, err := readModel(dir); err == nil || !strings.Contains(err.Error(), "want a file beside the index") {
		t.Errorf("error %v", err)
	}
}

// The one variant there is, as diffusers' save_pretrained(variant="fp16") names it,
// in one file and in shards.
func TestVariants(t *testing.T) {
	noted := func(dir, want string) {
		t.Helper()
		if c, _, err := readModel(dir); err != nil || !slices.Contains(c.Notes(), "weights from "+want) {
			t.Errorf("error %v, notes %q, want one about %s", err, c.Notes(), want)
		}
	}
	dir, c, flat := micro(t)
	const single = "diffusion_pytorch_model.fp16.safetensors"
	if err := os.Rename(filepath.Join(dir, weightsFile), filepath.Join(dir, single)); err != nil {
		t.Fatal(err)
	}
	wantModel(t, dir, flat)
	noted(dir, single)

	os.Remove(filepath.Join(dir, single))
	const shard, index = "diffusion_pytorch_model.fp16-00001-of-00001.safetensors", "diffusion_pytorch_model.safetensors.index.fp16.json"
	weightMap := map[string]string{}
	store(t, filepath.Join(dir, shard), c, flat, func(s *safetensors.Tensor) { weightMap[s.Name] = shard })
	text, _ := json.Marshal(map[string]any{"weight_map": weightMap})
	if err := os.WriteFile(filepath.Join(dir, index), text, 0o666); err != nil {
		t.Fatal(err)
	}
	wantModel(t, dir, flat)
	noted(dir, index)
}

// TestVariance: a network that gives a variance is one that denoises. Another begins with the half of
// its last layer that is the image, and one with a variance with that of another that gives none.
func TestVariance(t *testing.T) {
	preset, err := Preset("micro")
	if err != nil {
		t.Fatal(err)
	}
	whole := preset.clone()
	whole.OutChannels = 2 * whole.InChannels
	params := nets.Params(whole)
	flat := make([]float32, nets.FlatSize(params))
	for i := range flat {
		flat[i] = float32(i + 1)
	}
	dir := t.TempDir()
	if err := nets.WriteModel(dir, whole, params, flat); err != nil {
		t.Fatal(err)
	}
	got, weights, err := readDenoiser(dir)
	if err != nil || got.OutChannels != 6 || nets.CheckDenoiser(got) != nil || !got.Spec().Variance {
		t.Fatalf("%d outputs, %v", got.OutChannels, err)
	}
	like := got.Spec()
	like.Variance = false
	half, err := got.Fit(like)
	if err != nil || half.Spec().Variance || half.Spec().Outputs != 3 || len(half.Notes()) != 1 {
		t.Fatalf("%+v, notes %q, %v", half.Spec(), half.Notes(), err)
	}
	stored := func(p nets.Param, flat []float32) []float32 {
		values := make([]float32, p.Size())
		nets.ToStored(p, flat, values)
		return values
	}
	adopted := func(to, from nets.Network, flat []float32) []float32 {
		taken, fresh, notes := nets.Adopt(to, from, nets.Params(to), nil)
		if fresh != nil || len(notes) != 1 {
			t.Errorf("fresh %q, notes %q", fresh, notes)
		}
		values := make([]float32, nets.FlatSize(nets.Params(to)))
		for _, a := range taken {
			copy(values[a.Offset:], a.Values(flat))
		}
		return values
	}
	taken := adopted(half, got, weights)
	again := adopted(got, half, taken)
	for i, p := range nets.Params(half) {
		all := stored(params[i], flat)
		if params[i].Name != p.Name || !slices.Equal(stored(p, taken), all[:p.Size()]) {
			t.Errorf("%s: other weights than the first of %s", p.Name, params[i].Name)
		}
		clear(all[p.Size():])
		if !slices.Equal(stored(params[i], again), all) {
			t.Errorf("%s: not the weights of one without a variance, and zeros", p.Name)
		}
	}
	like = preset.WithConcat(1).Spec()
	like.Variance = true
	if _, err := preset.Fit(like); err == nil || !strings.Contains(err.Error(), "a second image") {
		t.Errorf("error %v, want one about the second image", err)
	}
}

// TestBin: weights as diffusers wrote them before safetensors are the same weights;
// beside safetensors they are not looked at.
func TestBin(t *testing.T) {
	const model = "testdata/diffusers/class-timestep"
	_, want, err := readModel(model)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for to, from := range map[string]string{"config.json": model + "/config.json", "diffusion_pytorch_model.bin": "testdata/class-timestep.bin"} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, got, err := readModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Error("the weights differ from those of safetensors")
	}
}

func TestFolderErrors(t *testing.T) {
	wrong := func(change func(*safetensors.Tensor)) func(*testing.T, string, Config, []float32) {
		return func(t *testing.T, dir string, c Config, flat []float32) {
			store(t, filepath.Join(dir, weightsFile), c, flat, change)
		}
	}
	for name, c := range map[string]struct {
		spoil func(*testing.T, string, Config, []float32)
		want  string
	}{
		"missing": {wrong(func(s *safetensors.Tensor) {
			if s.Name == "conv_in.bias" {
				s.Name = ""
			}
		}), "lacks conv_in.bias"},
		"extra": {wrong(func(s *safetensors.Tensor) {
			if s.Name == "conv_in.bias" {
				s.Name = "conv_in.bais"
			}
		}), "lacks conv_in.bias; has, but config.json does not describe, conv_in.bais"},
		"misshapen": {wrong(func(s *safetensors.Tensor) {
			if s.Name == "conv_in.bias" {
				s.Shape = []int{2, 4}
			}
		}), "wrong shape for conv_in.bias [2 4] (want [8])"},
		"many": {wrong(func(s *safetensors.Tensor) { s.Name = strings.Replace(s.Name, "down_blocks", "down", 1) }), "more; has"},
		"twice": {wrong(func(s *safetensors.Tensor) {
			s.Name = strings.Replace(s.Name, "down_blocks.1.attentions.0.to_k.bias", "down_blocks.1.attentions.0.query.bias", 1)
		}), "is also in"},
		"no pickle": {func(t *testing.T, dir string, _ Config, _ []float32) {
			os.Rename(filepath.Join(dir, weightsFile), filepath.Join(dir, "diffusion_pytorch_model.bin"))
		}, "a file that torch.save wrote"},
		"cut short": {func(t *testing.T, dir string, _ Config, _ []float32) {
			os.Truncate(filepath.Join(dir, weightsFile), 20_000)
		}, "cut short"},
		"a folder in its place": {func(t *testing.T, dir string, _ Config, _ []float32) {
			os.Remove(filepath.Join(dir, weightsFile))
			os.Mkdir(filepath.Join(dir, weightsFile), 0o777)
		}, "is a folder"},
		"index missing": {func(t *testing.T, dir string, _ Config, _ []float32) {
			os.Rename(filepath.Join(dir, weightsFile), filepath.Join(dir, "diffusion_pytorch_model-00001-of-00002.safetensors"))
		}, "not the index"},
		"index null": {func(t *testing.T, dir string, _ Config, _ []float32) {
			os.Remove(filepath.Join(dir, weightsFile))
			os.WriteFile(filepath.Join(dir, indexFile), []byte("null"), 0o666)
		}, "is null, want an object"},
		"index of numbers": {func(t *testing.T, dir string, _ Config, _ []float32) {
			os.Remove(filepath.Join(dir, weightsFile))
			os.WriteFile(filepath.Join(dir, indexFile), []byte(`{"weight_map": {"conv_in.bias": 1}}`), 0o666)
		}, "key weight_map is a number, want a string"},
		"several variants": {func(t *testing.T, dir string, c Config, flat []float32) {
			os.Rename(filepath.Join(dir, weightsFile), filepath.Join(dir, "diffusion_pytorch_model.fp16.safetensors"))
			store(t, filepath.Join(dir, "diffusion_pytorch_model.non_ema.safetensors"), c, flat, func(*safetensors.Tensor) {})
		}, "there are diffusion_pytorch_model.fp16.safetensors and diffusion_pytorch_model.non_ema.safetensors"},
		"no JSON": {func(t *testing.T, dir string, _ Config, _ []float32) {
			os.WriteFile(filepath.Join(dir, configFile), []byte("{\n}}"), 0o644)
		}, "goes on behind the closing brace"},
		"bad config": {func(t *testing.T, dir string, _ Config, _ []float32) {
			os.WriteFile(filepath.Join(dir, configFile), []byte(`{"act_fn": "elu"}`), 0o644)
		}, "config.json: config key act_fn"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, config, flat := micro(t)
			c.spoil(t, dir, config, flat)
			if _, _, err := readModel(dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v, want %q with the file's name", err, c.want)
			}
		})
	}
	if _, err := readConfig(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one that says the file does not exist", err)
	}
}

// The first bad tensor is named, in the order of the parameters.
func TestNotFiniteWeights(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		dir, c, flat := micro(t)
		params := nets.Params(c)
		for _, i := range []int{3, 5} {
			flat[params[i].Offset] = float32(bad)
		}
		store(t, filepath.Join(dir, weightsFile), c, flat, func(*safetensors.Tensor) {})
		_, _, err := readModel(dir)
		var e *nets.NotFiniteError
		if !errors.As(err, &e) || e.Tensor != params[3].Name || e.File != filepath.Join(dir, weightsFile) || e.Element != 0 {
			t.Errorf("%v: error %v, want one that names %s", bad, err, params[3].Name)
		}
	}
}

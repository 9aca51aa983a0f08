package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
)

// theirPictures are pictures that diffusers' own loop makes of the noise that ours
// begins with (scripts/check_samples.py --fixtures).
type theirPictures struct {
	Config map[string]any
	Steps  int
	Flags  []string
	Levels []byte // of images 0 and 1: 64ths of a level, two bytes each
}

func readPictures(t *testing.T) []theirPictures {
	t.Helper()
	file, err := os.ReadFile("testdata/schedulers.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []theirPictures
	if err := json.Unmarshal(file, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// pipeline writes a folder of diffusers with a network of nets/unet/testdata.
func pipeline(t *testing.T, config map[string]any) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(filepath.Join(folder, "unet"), os.DirFS("../../nets/unet/testdata/diffusers/flow")); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(config)
	if err == nil {
		err = os.Mkdir(filepath.Join(folder, "scheduler"), 0o777)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "scheduler", "scheduler_config.json"), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestSampleScheduler: every class makes the pictures of diffusers, but for rounding, and of a picture
// and a mask those of its inpainting.
func TestSampleScheduler(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	_, _, files := pictureAndMask(t)
	for i, c := range readPictures(t) {
		t.Run(fmt.Sprint(i, c.Config["_class_name"]), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			args := append([]string{"sample", "--model", pipeline(t, c.Config), "--out", out, "--count", "2", "--steps", fmt.Sprint(c.Steps),
				"--scheduler", "model", "--compat", "diffusers", "--precision", "fp32"}, c.Flags...)
			for k, arg := range args {
				if path, ok := files[arg]; ok {
					args[k] = path
				}
			}
			if _, code, err := fluxion(t, args...); err != nil {
				t.Fatal(code, err)
			}
			free, most := 0, 0.0
			for image := range 2 {
				pixels, _, _, _, err := data.ReadPNG(filepath.Join(out, fmt.Sprintf("%06d.png", image)))
				if err != nil {
					t.Fatal(err)
				}
				for k, p := range pixels {
					want := float64(binary.LittleEndian.Uint16(c.Levels[2*(image*len(pixels)+k):])) / 64
					if want > 0 && want < 255 {
						free++
					}
					most = math.Max(most, math.Abs(float64(p)-want))
				}
			}
			if most > 0.51+1./128 {
				t.Errorf("%v: a pixel is %.3f levels from what diffusers has before it rounds", c.Config, most)
			}
			if free < 192/4 {
				t.Errorf("only %d values are within the range of pixels: this shows nothing", free)
			}
		})
	}
}

// pictureAndMask are a picture of 8×8 pixels and a mask whose right half is white, and their
// files by name.
func pictureAndMask(t *testing.T) (picture, mask []byte, files map[string]string) {
	t.Helper()
	picture, mask, files = make([]byte, 3*8*8), make([]byte, 8*8), map[string]string{}
	for i := range picture {
		picture[i] = byte(7 * i)
	}
	for i := range mask {
		if i%8 >= 4 {
			mask[i] = 255
		}
	}
	dir := t.TempDir()
	for name, pixels := range map[string][]byte{"picture.png": picture, "mask.png": mask} {
		files[name] = filepath.Join(dir, name)
		text, err := data.EncodePNG(pixels, 8, 8, len(pixels)/64, nil)
		if err == nil {
			err = os.WriteFile(files[name], text, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return picture, mask, files
}

// TestSchedulerFile: the model's own scheduler, its file and its folder make one
// picture, and so do the sampler and the grid that the file stands for.
func TestSchedulerFile(t *testing.T) {
	folder := pipeline(t, map[string]any{"_class_name": "FlowMatchEulerDiscreteScheduler"})
	file := filepath.Join(folder, "scheduler", "scheduler_config.json")
	run := func(args ...string) (pixels []byte, said map[string]any) {
		t.Helper()
		out := filepath.Join(t.TempDir(), "out")
		text, code, err := fluxion(t, append([]string{"sample", "--json", "--model", folder, "--out", out, "--count", "2", "--steps", "5"}, args...)...)
		if err != nil {
			t.Fatal(code, err)
		}
		pixels, _, _, _, err = data.ReadPNG(filepath.Join(out, "000001.png"))
		if err != nil {
			t.Fatal(err)
		}
		said, _ = events(t, text)[0]["scheduler"].(map[string]any)
		return pixels, said
	}
	want, said := run("--grid", "sigma:1,0.75025,0.5005,0.25075,0.001,0")
	if said != nil {
		t.Errorf("without --scheduler the start speaks of %v", said)
	}
	for _, path := range []string{"model", file, filepath.Dir(file), folder} {
		got, said := run("--scheduler", path)
		if !slices.EqualFunc(got, want, func(a, b byte) bool { return math.Abs(float64(a)-float64(b)) <= 1 }) {
			t.Errorf("--scheduler %s: other pictures than along its grid", path)
		}
		if said["class"] != "FlowMatchEulerDiscreteScheduler" || said["output"] != "u" {
			t.Errorf("--scheduler %s: the start says %v", path, said)
		}
	}
}

// TestSampleSchedulerMask: parts of a picture are kept by every scheduler, also those that take
// several calls for a step; along a sampler's own grid they are kept as by that sampler.
func TestSampleSchedulerMask(t *testing.T) {
	picture, mask, files := pictureAndMask(t)
	given := []string{"--init", files["picture.png"], "--mask", files["mask.png"], "--strength", "0.8"}
	sample := func(class string, args ...string) []byte {
		t.Helper()
		out := filepath.Join(t.TempDir(), "out")
		all := slices.Concat([]string{"sample", "--model", pipeline(t, map[string]any{"_class_name": class}), "--out", out, "--count", "1", "--steps", "5", "--precision", "fp32"}, given, args)
		if _, code, err := fluxion(t, all...); err != nil {
			t.Fatal(class, code, err)
		}
		pixels, _, _, _, err := data.ReadPNG(filepath.Join(out, "000000.png"))
		if err != nil {
			t.Fatal(err)
		}
		return pixels
	}
	for _, class := range []string{"DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler", "PNDMScheduler", "UniPCMultistepScheduler", "DPMSolverSinglestepScheduler", "FlowMatchEulerDiscreteScheduler"} {
		strength := given
		if class == "PNDMScheduler" { // begins at the first entry of its grid only
			given = given[:4]
		}
		pixels, other := sample(class, "--scheduler", "model"), 0
		given = strength
		for i, p := range pixels {
			switch kept := mask[i/3] == 0; {
			case kept && p != picture[i]:
				t.Fatalf("%s: value %d of what is kept is %d, was %d", class, i, p, picture[i])
			case !kept && p != picture[i]:
				other++
			}
		}
		if other < 64 {
			t.Errorf("%s: %d of 96 values of what is made anew are others than those of the picture", class, other)
		}
	}
	flow := "FlowMatchEulerDiscreteScheduler"
	got, want := sample(flow, "--scheduler", "model"), sample(flow, "--grid", "sigma:1,0.75025,0.5005,0.25075,0.001,0")
	if !slices.EqualFunc(got, want, func(a, b byte) bool { return math.Abs(float64(a)-float64(b)) <= 1 }) {
		t.Error("other pictures than along its grid")
	}
}

func TestSampleSchedulerRefuses(t *testing.T) {
	mild := map[string]any{"_class_name": "DDIMScheduler", "beta_end": 0.004}
	folder := pipeline(t, mild)
	config := func(class string, keys string) string {
		return write(t, fmt.Sprintf(`{"_class_name": %q%s}`, class, keys))
	}
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"--grid beside --scheduler":             {exitUsage, []string{"--scheduler", "model", "--grid", "karras"}},
		"--schedule beside --scheduler":         {exitUsage, []string{"--scheduler", "model", "--schedule", "cosine"}},
		"--sampler beside --scheduler":          {exitUsage, []string{"--scheduler", "model", "--sampler", "heun"}},
		"--clip beside --scheduler":             {exitUsage, []string{"--scheduler", "model", "--clip"}},
		"--dynamic-threshold beside":            {exitUsage, []string{"--scheduler", "model", "--dynamic-threshold", "0.9"}},
		"--mu: only a --scheduler with dynamic": {exitUsage, []string{"--mu", "1"}},
		"takes no churn":                        {exitUsage, []string{"--scheduler", "model", "--churn", "1"}},
		"want diffusers, to repeat":             {exitUsage, []string{"--scheduler", "model", "--compat", "theirs"}},
		"no such file":                          {exitInput, []string{"--scheduler", filepath.Join(folder, "nothing")}},
		`did you mean "DDIMScheduler"`:          {exitInput, []string{"--scheduler", config("DIMScheduler", "")}},
		"takes what the network gives for v":    {exitUsage, []string{"--scheduler", config("DDIMScheduler", `, "prediction_type": "v_prediction"`)}},
		"distilled to jump to the data":         {exitUsage, []string{"--scheduler", config("CMStochasticIterativeScheduler", "")}},
		"goes from data to noise":               {exitUsage, []string{"--scheduler", config("DDIMInverseScheduler", "")}},
		"sample_max_value = 2":                  {exitUsage, []string{"--scheduler", config("DDPMScheduler", `, "thresholding": true, "sample_max_value": 2.0`)}},
		"does not run on networks":              {exitUsage, []string{"--scheduler", config("DPMSolverSinglestepScheduler", `, "algorithm_type": "sde-dpmsolver++"`)}},
	} {
		args := append([]string{"sample", "--model", folder, "--out", filepath.Join(t.TempDir(), "out"), "--count", "1", "--steps", "4"}, c.args...)
		_, code, err := fluxion(t, args...)
		if err == nil || code != c.code || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: code %d, %v, want one line with %q", c.args, code, err, want)
		}
	}
}

// TestSchedulerText: a picture tells its scheduler, and one made by another is not
// taken for it.
func TestSchedulerText(t *testing.T) {
	keys := map[string]any{"_class_name": "DDIMScheduler", "beta_end": 0.004}
	folder, out := pipeline(t, keys), filepath.Join(t.TempDir(), "out")
	sample := func(args ...string) (string, int, error) {
		return fluxion(t, append([]string{"sample", "--json", "--model", folder, "--out", out, "--count", "1", "--steps", "3"}, args...)...)
	}
	if _, code, err := sample("--scheduler", "model"); err != nil {
		t.Fatal(code, err)
	}
	p, err := data.InspectPNG(filepath.Join(out, "000000.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"DDIMScheduler ", " beta_end=0.004", ` timestep_spacing="leading"`, " clip_sample=true"} {
		if !strings.Contains(p.Text["scheduler"], word) {
			t.Errorf("the picture's scheduler is %q, want %q in it", p.Text["scheduler"], word)
		}
	}
	if p.Text["sampler"] != "" || p.Text["grid"] != "" || p.Text["clip"] != "true" {
		t.Errorf("texts %v", p.Text)
	}
	if text, code, err := sample("--scheduler", "model"); err != nil || events(t, text)[0]["skipped"] != 1. {
		t.Errorf("the same again: code %d, %v, %s", code, err, text)
	}
	file := func(key string, value any) string {
		changed := maps.Clone(keys)
		changed[key] = value
		text, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		return write(t, string(text))
	}
	for want, args := range map[string][]string{
		"scheduler was DDIMScheduler beta_end=0.004, now DDIMScheduler beta_end=0.005":                          {"--scheduler", file("beta_end", 0.005)},
		`scheduler was DDIMScheduler timestep_spacing="leading", now DDIMScheduler timestep_spacing="trailing"`: {"--scheduler", file("timestep_spacing", "trailing")},
		"scheduler was DDIMScheduler, now EulerDiscreteScheduler (":                                             {"--scheduler", file("_class_name", "EulerDiscreteScheduler")},
		"compat was not given, now none":                                                                        {"--scheduler", "model", "--compat", "none"},
		"eta was not given, now 0":                                                                              {"--scheduler", "model", "--eta", "0"},
		"sampler was not given, now euler":                                                                      {},
	} {
		if _, code, err := sample(args...); code != exitFolder || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: code %d, %v, want %q", args, code, err, want)
		}
	}
}

// TestForeignBetas: a scheduler that tells the network times of other noise levels
// than in training is told apart.
func TestForeignBetas(t *testing.T) {
	folder := pipeline(t, map[string]any{"_class_name": "DDIMScheduler"})
	for betas, foreign := range map[string]bool{`"linear"`: false, `"squaredcos_cap_v2"`: true} {
		file := write(t, `{"_class_name": "DPMSolverMultistepScheduler", "beta_schedule": `+betas+`}`)
		text, code, err := fluxion(t, "sample", "--model", folder, "--out", filepath.Join(t.TempDir(), "out"), "--count", "1", "--steps", "6", "--scheduler", file)
		if err != nil || strings.Contains(text, "are its βs the model's?") != foreign {
			t.Errorf("%s: code %d, %v, says %s", betas, code, err, text)
		}
	}
}

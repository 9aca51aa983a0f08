package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSelfConditioning: trained with it, a model is sampled, inspected, guided and
// resumed without a flag; what does not go together is said in a line.
func TestSelfConditioning(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	dir := t.TempDir()
	run, plain := filepath.Join(dir, "run"), filepath.Join(dir, "plain")
	train := with(quick, "train", "--images", "16", "--sample-count", "0")
	for out, more := range map[string][]string{run: {"--self-conditioning", "0.5"}, plain: nil} {
		text, code, err := fluxion(t, append(with(train, "--out", out), more...)...)
		if err != nil {
			t.Fatal(code, err)
		}
		if says := strings.Contains(text, "self-conditioning: the network's own of the clean image, given for 50 % of the images"); says != (more != nil) {
			t.Errorf("%v: the start table says %s", more, text)
		}
	}
	flops := func(args ...string) float64 {
		out, code, err := fluxion(t, append([]string{"inspect", "--json", "--batch", "4"}, args...)...)
		if err != nil {
			t.Fatal(code, err)
		}
		var r inspection
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		if r.Estimate != (len(args) != 2 || args[1] == run) {
			t.Errorf("inspect %v: self-conditioning %v", args, r.Estimate)
		}
		return float64(r.FLOPs)
	}
	if with, without := flops("--model", run), flops("--model", plain); with < 1.3*without || with > 1.4*without {
		t.Errorf("%g operations with self-conditioning, %g without; want a third more", with, without)
	}
	if with, without := flops("--preset", "micro", "--self-conditioning"), flops("--preset", "micro"); with < 1.3*without {
		t.Errorf("a preset has %g operations with self-conditioning, %g without", with, without)
	}
	for work, least := range map[string]float64{"train": 1.3, "sample": 1} {
		bench := func(more ...string) float64 {
			out, code, err := fluxion(t, append([]string{"bench", work, "--preset", "micro", "--size", "16", "--batch", "2", "--steps", "1", "--json"}, more...)...)
			if err != nil {
				t.Fatal(code, err)
			}
			e := events(t, out)[0]
			if e["self_conditioning"] != (len(more) > 0) {
				t.Errorf("bench %s %v: self_conditioning is %v", work, more, e["self_conditioning"])
			}
			return e["flop_per_image"].(float64)
		}
		if with, without := bench("--self-conditioning"), bench(); with < least*without || with > (least+0.1)*without {
			t.Errorf("bench %s counts %g operations with self-conditioning, %g without", work, with, without)
		}
	}
	if out, code, err := fluxion(t, "bench", "ops", "--preset", "micro", "--size", "16", "--batch", "2", "--steps", "1", "--top", "0", "--self-conditioning"); err != nil || !strings.Contains(out, "mix") {
		t.Errorf("bench ops with self-conditioning: %d, %v, %s", code, err, out)
	}
	pictures := map[string]string{}
	for name, args := range map[string][]string{
		"alone": {"--model", run}, "guided by a plain one": {"--model", run, "--guide", plain, "--guidance", "2"},
		"guiding a plain one": {"--model", plain, "--guide", run, "--guidance", "2"}, "to classes": {"--model", run, "--guidance", "2", "--sampler", "heun"},
		"adaptive": {"--model", run, "--sampler", "rk45", "--tolerance", "0.05"},
	} {
		out := filepath.Join(dir, name)
		if _, code, err := fluxion(t, append([]string{"sample", "--out", out, "--count", "1", "--steps", "3"}, args...)...); err != nil {
			t.Fatal(name, code, err)
		}
		pixels, err := os.ReadFile(filepath.Join(out, "000000.png"))
		if err != nil {
			t.Fatal(err)
		}
		for other, p := range pictures {
			if p == string(pixels) {
				t.Errorf("%s is %s", name, other)
			}
		}
		pictures[name] = string(pixels)
	}

	grey, wide := filepath.Join(dir, "grey"), filepath.Join(dir, "wide")
	if _, code, err := fluxion(t, with(train, "--out", grey, "--channels", "1", "--self-conditioning", "0.5")...); err != nil {
		t.Fatal(code, err)
	}
	if err := os.CopyFS(wide, os.DirFS(filepath.Join(run, "checkpoints", "16"))); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"unet", "unet_ema"} { // a network of 6 channels in and 3 out that does not say why
		path := filepath.Join(wide, part, "config.json")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), `  "_self_conditioning": true,`+"\n", "", 1)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	sample := []string{"sample", "--count", "1", "--steps", "2", "--out", filepath.Join(dir, "none"), "--model"}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{with(train, "--out", run, "--images", "24", "--self-conditioning", "0"), exitFolder, "self_conditioning was 0.5, now 0"},
		{with(train, "--out", plain, "--self-conditioning", "1"), exitUsage, "such as 0.5"},
		{[]string{"inspect", "--model", run, "--self-conditioning"}, exitUsage, "says itself"},
		{with(sample, wide), exitUsage, "want --input"}, // a second image is what else the channels may be of
		{with(sample, plain, "--guide", wide, "--guidance", "2"), exitInput, "a second image of 3 channels"},
		{with(sample, run, "--guide", grey, "--guidance", "2"), exitInput, "1 channels"},
	} {
		_, code, err := fluxion(t, c.args...)
		if code != c.code || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: exit code %d, want %d; %v", c.args, code, c.code, err)
		}
	}
}

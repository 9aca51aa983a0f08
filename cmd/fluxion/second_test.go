package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/second"
	"fluxion/engine/device"
	"fluxion/kernels/cuda/driver"
	"fluxion/nets/autoencoder/autoencodertest"
)

// TestSecondRun: a kernel that fails within a graph is named by a second run, which writes nothing.
func TestSecondRun(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	train := []string{"train", "--preset", "micro", "--size", "4", "--batch", "1", "--sample-count", "0", "--precision", "fp32", "--data", images(t, dir), "--out", run}
	if out, code, err := fluxion(t, with(train, "--images", "2")...); err != nil {
		t.Fatal(code, err, out)
	}
	sample := []string{"sample", run, "--steps", "1", "--device", "cuda:0", "--precision", "fp32"}
	// said is what a command says whose function fails on the simulated GPU, and its exit code.
	said := func(function string, more []string, args ...string) (string, int) {
		c := program(t, args...)
		c.Env = append(c.Env, device.Variable+"="+driver.Simulated, driver.FaultVariable+"="+function)
		c.Env = append(c.Env, more...)
		text, err := c.CombinedOutput()
		return string(text), exitOf(t, err)
	}
	for _, c := range []struct {
		name, function string
		environment    []string
		args           []string
		code           int
		want           []string
	}{
		{"training", "adamw_update:2", nil, with(train, "--images", "6", "--device", "cuda:0"), exitFailure, []string{
			"; a second run, kernel by kernel, fails in launch ", ", adamw, ", "function adamw.adamw_update\n", "CUDA_ERROR_ILLEGAL_ADDRESS"}},
		{"sampling", "attention_forward_f32", nil, with(sample, "--count", "1", "--out", filepath.Join(dir, "out")), exitFailure, []string{
			"fails in launch ", "layer ", "function attention.attention_forward_f32\n"}},
		{"none", "adamw_update", []string{second.Variable + "=0"}, with(train, "--images", "6", "--device", "cuda:0"), exitFailure, []string{
			"CUDA_ERROR_ILLEGAL_ADDRESS", device.GraphVariable + "=0 names the kernel"}},
		{"no number", "adamw_update", []string{second.Variable + "=x"}, train, exitUsage, []string{second.Variable + `="x", want a number of seconds`}},
	} {
		text, code := said(c.function, c.environment, c.args...)
		if n := strings.Count(text, "CUDA_ERROR_"); n > 1 {
			t.Errorf("%s: the error is told %d times in\n%s", c.name, n, text)
		}
		for _, want := range c.want {
			if !strings.Contains(text, want) || code != c.code {
				t.Errorf("%s: exit code %d, want %d, and %q in\n%s", c.name, code, c.code, want, text)
			}
		}
	}
	pictures := array(t, filepath.Join(dir, "pictures.npz"), autoencodertest.Numbers("image", 2*3*16*16), 2, 16, 16, 3)
	before := listing(t, dir)
	for name, args := range map[string][]string{
		"training": with(train, "--images", "6", "--device", "cuda:0"),
		"floats":   with(sample, "--count", "1", "--out", filepath.Join(dir, "out.npz"), "--save-noise", filepath.Join(dir, "noise.npy")),
		"eval":     {"eval", run, "--count", "1", "--steps", "1", "--network", "glyph", "--save", filepath.Join(dir, "set.npz"), "--device", "cuda:0", "--precision", "fp32"},
		"sweep":    {"sweep", run, filepath.Join(dir, "images"), "--size", "4", "--count", "2", "--steps", "1", "--network", "glyph", "--metrics", "fd", "--out", filepath.Join(dir, "table"), "--device", "cuda:0", "--precision", "fp32"},
		"pairs":    {"pairs", run, "--count", "1", "--steps", "1", "--out", filepath.Join(dir, "pairs"), "--device", "cuda:0", "--precision", "fp32"},
		"latents":  {"latents", pictures, filepath.Join(dir, "latents"), "--vae", autoencodertest.Write(t, "sd"), "--range", "-1,1", "--device", "cuda:0"},
		"bench":    {"bench", "sample", "--preset", "micro", "--size", "4", "--batch", "1", "--precision", "fp32", "--device", "cuda:0"},
	} {
		task := filepath.Join(t.TempDir(), "task")
		if err := os.WriteFile(task, []byte(`{"images": 2}`), 0o600); err != nil {
			t.Fatal(err)
		}
		text, _ := said("attention_forward_f32", []string{"FLUXION_CUDA_SECOND_RUN=" + task, device.GraphVariable + "=0"}, args...)
		if got, err := os.ReadFile(task); err != nil || !strings.Contains(string(got), "attention.attention_forward_f32") {
			t.Errorf("%s found %s, %v\n%s", name, got, err, text)
		}
		if after := listing(t, dir); after != before {
			t.Errorf("%s: the second run has written: there are\n%safter\n%s", name, after, before)
		}
	}
}

// listing is the files below a folder with their sizes and times.
func listing(t *testing.T, dir string) (text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() { // beside which room is looked for
			return err
		}
		info, err := e.Info()
		if err == nil {
			text += fmt.Sprintln(path, info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
	"fluxion/nets/autoencoder/autoencodertest"
	"fluxion/nets/safetensors"
)

// latentRun trains a micro network on latents of six images of 16×16 pixels by the small
// autoencoder of Stable Diffusion's kind, and returns the folders of latents and run.
func latentRun(t *testing.T, flags ...string) (latents, run string) {
	t.Helper()
	dir := t.TempDir()
	latents, run = filepath.Join(dir, "latents"), filepath.Join(dir, "run")
	pictures := array(t, filepath.Join(dir, "pictures.npz"), autoencodertest.Numbers("image", 6*16*16*3), 6, 16, 16, 3)
	done(t, "latents", pictures, latents, "--vae", autoencodertest.Write(t, "sd"), "--range", "-1,1", "--device", "cpu")
	done(t, with(with(tinyLatents, "--data", "latents:"+latents, "--out", run), flags...)...)
	return latents, run
}

// tinyLatents trains for two steps.
var tinyLatents = []string{"train", "--preset", "micro", "--batch", "4", "--images", "8", "--threads", "1", "--precision", "fp32", "--sample-count", "0", "--device", "cpu"}

// done is what a command prints that must succeed.
func done(t *testing.T, args ...string) string {
	t.Helper()
	out, code, err := fluxion(t, args...)
	if err != nil {
		t.Fatalf("%v: %d, %v", args, code, err)
	}
	return out
}

// decodes says whether the samples of a model are its latents, decoded by the autoencoder of a
// folder.
func decodes(t *testing.T, model, vae string) {
	t.Helper()
	dir := t.TempDir()
	z, x, again := filepath.Join(dir, "z.npz"), filepath.Join(dir, "x.npz"), filepath.Join(dir, "again.npz")
	sample := []string{"sample", "--model", model, "--count", "2", "--precision", "fp32", "--device", "cpu", "--out"}
	done(t, with(sample, x)...)
	done(t, with(sample, z, "--latent")...)
	done(t, "latents", z, again, "--decode", "--vae", vae, "--device", "cpu")
	images := floatsOf(t, x, "images")
	if len(images) != 2*16*16*3 {
		t.Fatalf("samples of %s are %d numbers", model, len(images))
	}
	if off, largest := apart(images, floatsOf(t, again, "images")); !(off <= 1e-6*largest) {
		t.Errorf("samples of %s are off by %g of %g from their latents, decoded", model, off, largest)
	}
}

// TestStudentsOfLatents: what learns from a model of latents, by its pairs or from itself, makes
// latents of the same autoencoder, and keeps it.
func TestStudentsOfLatents(t *testing.T) {
	latents, teacher := latentRun(t)
	dir := t.TempDir()
	pairs := filepath.Join(dir, "pairs")
	make := []string{"pairs", "--model", teacher, "--out", pairs, "--count", "8", "--sampler", "heun", "--steps", "2", "--precision", "fp32", "--device", "cpu"}
	done(t, make...)
	d, err := data.Open("pairs:"+pairs, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := data.AutoencoderOf(d); !ok || a.Digest != autoencodertest.Read(t, "sd").Digest() || d.Close() != nil {
		t.Errorf("pairs are of autoencoder %+v", a)
	}
	for _, student := range [][]string{
		{"--data", "pairs:" + pairs, "--init", teacher, "--objective", "kd"},
		{"--data", "pairs:" + pairs, "--init", teacher, "--objective", "reflow"},
		{"--data", "latents:" + latents, "--teacher", teacher, "--objective", "progressive:from=4,to=2", "--posterior", "mean"},
	} {
		run := filepath.Join(t.TempDir(), "student")
		if said := done(t, with(with(tinyLatents, "--out", run), student...)...); strings.Contains(said, "are not decoded") {
			t.Errorf("%v: %s", student, said)
		}
		decodes(t, run, latents)
	}
	// Latents of another autoencoder, and data that tell of none.
	other := autoencodertest.Read(t, "sd")
	other.Flat[0]++
	vae, others := t.TempDir(), filepath.Join(dir, "others")
	if err := other.Write(vae, safetensors.F32); err != nil {
		t.Fatal(err)
	}
	done(t, "latents", filepath.Join(filepath.Dir(latents), "pictures.npz"), others, "--vae", vae, "--range", "-1,1", "--device", "cpu")
	for _, c := range [][]string{{"--teacher", teacher, "--objective", "progressive:from=4,to=2"}, {"--init", teacher}} {
		run := filepath.Join(t.TempDir(), "run")
		if _, code, err := fluxion(t, with(with(tinyLatents, "--data", "latents:"+others, "--out", run), c...)...); code != exitUsage || !strings.Contains(fmt.Sprint(err), "makes latents of another autoencoder") {
			t.Errorf("%v: %d, %v", c, code, err)
		}
	}
	z := array(t, filepath.Join(dir, "z.npz"), autoencodertest.Numbers("z", 8*8*8*4), 8, 8, 8, 4)
	if said := done(t, with(tinyLatents, "--data", z, "--init", teacher, "--out", filepath.Join(dir, "plain"))...); !strings.Contains(said, "the data say nothing of their autoencoder") {
		t.Error(said)
	}
	// Pairs of before had no autoencoder: the same command adds it.
	text, err := os.ReadFile(filepath.Join(pairs, data.PairsFile))
	if err != nil {
		t.Fatal(err)
	}
	old := strings.Replace(string(text), `"autoencoder": "`+autoencodertest.Read(t, "sd").Digest()+`",`, "", 1)
	if err := os.WriteFile(filepath.Join(pairs, data.PairsFile), []byte(old), 0o666); err != nil || old == string(text) {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(pairs, data.AutoencoderDir)); err != nil {
		t.Fatal(err)
	}
	if said := done(t, make...); !strings.Contains(said, "8 pairs in "+pairs+": 0 made") {
		t.Error(said)
	}
	if again, err := os.ReadFile(filepath.Join(pairs, data.PairsFile)); err != nil || string(again) != string(text) {
		t.Errorf("%s, %v", again, err)
	}
}

// TestEvaluateLatents: a run on latents is evaluated by its decoded samples, which are those of
// sample, against decoded latents of its set or pictures.
func TestEvaluateLatents(t *testing.T) {
	evaluate := []string{"--eval-every", "8", "--eval-metrics", "kid", "--eval-count", "6", "--eval-network", "glyph", "--eval-steps", "2", "--json"}
	latents, run := latentRun(t, evaluate...)
	kid := func(run string) float64 {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(run, "stats.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		all := events(t, string(text))
		return value(t, all[len(all)-1], "kid")
	}
	if text, err := os.ReadFile(filepath.Join(run, "stats.jsonl")); err != nil || !strings.Contains(string(text), "6 decoded latents of latents:"+latents+", 16×16×3") {
		t.Errorf("%v: %s", err, text)
	}
	decoded := filepath.Join(t.TempDir(), "decoded")
	done(t, "latents", "latents:"+latents, decoded, "--decode", "--device", "cpu")
	other := filepath.Join(t.TempDir(), "run")
	done(t, with(with(with(tinyLatents, "--data", "latents:"+latents, "--out", other), evaluate...), "--eval-real", decoded)...)
	if a, b := kid(run), kid(other); a != b {
		t.Errorf("against decoded latents %g, against the same decoded before %g", a, b)
	}
	r := evaluated(t, run, decoded, "--count", "6", "--metrics", "kid", "--network", "glyph", "--steps", "2", "--precision", "fp32")
	if off := r.Metrics["kid"] - kid(run); !(off*off <= 1e-12*kid(run)*kid(run)) {
		t.Errorf("fluxion eval says %g, the run %g", r.Metrics["kid"], kid(run))
	}
	if _, code, err := fluxion(t, with(with(with(tinyLatents, "--data", "latents:"+latents, "--out", filepath.Join(t.TempDir(), "run")), evaluate...), "--eval-real", array(t, filepath.Join(t.TempDir(), "z.npz"), autoencodertest.Numbers("z", 8*8*8*4), 8, 8, 8, 4))...); code != exitInput || !strings.Contains(fmt.Sprint(err), "holds float32 of 8×8×4") {
		t.Errorf("against numbers: %d, %v", code, err)
	}
}

// TestConvertLatents: a model of latents keeps its autoencoder, as float32, in one file, too.
func TestConvertLatents(t *testing.T) {
	latents, run := latentRun(t)
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, step := range [][]string{
		{run, in("a.safetensors")},
		{in("a.safetensors"), in("b")},
		{in("b"), in("c.npz")},
		{in("c.npz"), in("d.safetensors"), "--type", "bf16"},
		{in("d.safetensors"), in("e")},
		{filepath.Join(in("b"), "unet", "diffusion_pytorch_model.safetensors"), in("f")},
	} {
		done(t, append([]string{"convert"}, step...)...)
	}
	for _, name := range []string{"a.safetensors", "b", "d.safetensors", "e", "f"} {
		decodes(t, in(name), latents)
		m, err := model.Read(in(name), model.EMA)
		if err != nil {
			t.Fatal(err)
		}
		if vae, err := m.ReadAutoencoder(); err != nil || vae.Digest() != autoencodertest.Read(t, "sd").Digest() {
			t.Errorf("%s has another autoencoder (%v)", name, err)
		}
	}
	if said := done(t, with(tinyLatents, "--data", "latents:"+latents, "--init", in("d.safetensors"), "--out", in("tuned"))...); !strings.Contains(said, "the weights are those of "+in("d.safetensors")) {
		t.Error(said)
	}
}

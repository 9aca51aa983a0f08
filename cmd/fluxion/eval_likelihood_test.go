package main

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/model"
)

// likely is the result of eval --json with bpd or elbo.
func likely(t *testing.T, args ...string) shownLikelihood {
	t.Helper()
	out, code, err := fluxion(t, append([]string{"eval", "--json"}, args...)...)
	if err != nil {
		t.Fatalf("%v: %d, %v", args, code, err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var r shownLikelihood
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// trained makes a run of one step, or of more.
func trained(t *testing.T, dir string, args ...string) string {
	t.Helper()
	run := filepath.Join(dir, "run")
	if _, code, err := fluxion(t, with(tiny, append([]string{"--out", run, "--images", "8"}, args...)...)...); err != nil {
		t.Fatal(code, err)
	}
	return run
}

// TestEvalLikelihood: bits of pictures with classes, which depend neither on batches nor
// on threads, and whose terms add up.
func TestEvalLikelihood(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	run := trained(t, t.TempDir())
	args := []string{run, "glyphs", "--size", "8", "--metrics", "bpd,elbo", "--real-count", "3", "--bpd-rtol", "1e-3", "--bpd-atol", "1e-3"}
	r := likely(t, args...)
	m := r.Metrics
	if sum := m["elbo-reconstruction"] + m["elbo-prior"] + m["elbo-diffusion"]; math.Abs(sum-m["elbo"]) > 1e-12 || !(m["bpd"] > 1 && m["elbo"] > 1) || r.Errors["bpd"] == 0 {
		t.Errorf("%+v", r)
	}
	if r.N[1] != 3 || r.Sizes[1] != "8×8×3" || !strings.Contains(r.How["bpd"], "in 1 direction") || !strings.Contains(r.How["bpd"], "rk45 to rtol 0.001") || !strings.Contains(r.How["elbo"], "λ = 13.3 to -5") {
		t.Errorf("%+v", r)
	}
	again := likely(t, with(args, "--batch", "2", "--threads", "2")...)
	for name, v := range m {
		if w := again.Metrics[name]; math.Abs(v-w) > 1e-6*math.Abs(v) {
			t.Errorf("%s: %.9g in batches of 32, %.9g of 2", name, v, w)
		}
	}
	if other := likely(t, with(args, "--seed", "1")...); other.Metrics["bpd"] == m["bpd"] || other.Metrics["elbo"] == m["elbo"] {
		t.Error("the seed does not show")
	}
}

// TestEvalChain: the bound of the chain, of a model that learns variances: its terms add up, and
// depend neither on batches nor on threads.
func TestEvalChain(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	run := trained(t, t.TempDir(), "--objective", "vlb", "--schedule", "ddpm-squaredcos", "--output-kind", "eps")
	args := []string{run, "glyphs", "--size", "8", "--metrics", "vlb", "--real-count", "3", "--vlb-times", "20"}
	r := likely(t, args...)
	m := r.Metrics
	if sum := m["vlb-0"] + m["vlb-1..999"] + m["vlb-1000"]; math.Abs(sum-m["vlb"]) > 1e-12 || !(m["vlb-0"] > 0 && m["vlb-1..999"] > 0 && m["vlb-1000"] > 0) || len(m) != 4 {
		t.Errorf("%+v", r)
	}
	if how := "chain of 1000 steps, 21 of them an image, variance learnt, x̂ within ±1"; r.How["vlb"] != how || r.Of["vlb"].Chain != 1000 || r.Of["vlb"].Times != 21 {
		t.Errorf("%+v", r)
	}
	again := likely(t, with(args, "--batch", "2", "--threads", "2")...)
	for name, v := range m {
		if w := again.Metrics[name]; math.Abs(v-w) > 1e-6*math.Abs(v) {
			t.Errorf("%s: %.9g in batches of 32, %.9g of 2", name, v, w)
		}
	}
	// Others have the variance of the chain, and may be asked at all steps.
	r = likely(t, trained(t, t.TempDir()), "glyphs", "--size", "8", "--metrics", "vlb", "--real-count", "2")
	if how := "chain of 1000 steps, variance beta, x̂ within ±1"; r.How["vlb"] != how || !(r.Metrics["vlb"] > 0) {
		t.Errorf("%+v", r)
	}
	for want, args := range map[string][]string{
		"step 999": {trained(t, t.TempDir(), "--schedule", "cosine", "--output-kind", "eps"), "glyphs", "--size", "8", "--metrics", "vlb", "--real-count", "2"},
		"of vlb":   {run, "glyphs", "--size", "8", "--metrics", "elbo", "--vlb-times", "3"},
	} {
		if _, code, err := fluxion(t, append([]string{"eval"}, args...)...); code != exitUsage || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d, %v; want %q", code, err, want)
		}
	}
}

// TestEvalLikelihoodOfPoints: two numbers have an exact divergence, and a density.
func TestEvalLikelihoodOfPoints(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	if _, code, err := fluxion(t, "train", "--data", "toy:moons", "--preset", "mlp", "--images", "16", "--batch", "16", "--sample-count", "0", "--out", run); err != nil {
		t.Fatal(code, err)
	}
	// A network that has learned nothing says ε − x = 0: all data are N(0, 1).
	r := likely(t, run, "toy:moons", "--metrics", "bpd", "--real-count", "20", "--bpd-solver", "rk4", "--bpd-steps", "10")
	if v := r.Metrics["bpd"]; math.Abs(v-2) > 0.5 || r.Levels != "none" || !strings.Contains(r.How["bpd"], "rk4 in 10 steps, 40 calls; divergence exact; density") {
		t.Errorf("%+v", r)
	}
}

// TestEvalLikelihoodRefuses what has no likelihood, in a line that says why.
func TestEvalLikelihoodRefuses(t *testing.T) {
	dir := t.TempDir()
	run := trained(t, dir)
	pictures := t.TempDir()
	for _, name := range []string{"a.png", "b.png"} {
		if err := data.WriteSheet(filepath.Join(pictures, name), data.Pixels{Bytes: make([]byte, 64)}, 1, 8, 8, 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	statistics := foreign(t, dir, "s.npz", []float64{0, 0}, []float64{1, 0, 0, 1})
	latents := filepath.Join(dir, "latents.npy")
	err := durable.Disk{}.Write(latents, func(w io.Writer) error {
		return data.WriteNPY(w, data.Array{Shape: []int{2, 8, 8, 3}, Floats: make([]float32, 2*8*8*3)})
	})
	if err != nil {
		t.Fatal(err)
	}
	jumps, few := filepath.Join(dir, "jumps"), filepath.Join(dir, "few")
	for _, to := range []string{jumps, few} {
		if err := os.CopyFS(to, os.DirFS(run)); err != nil {
			t.Fatal(err)
		}
	}
	write := func(run, name, text string) {
		root, err := model.Newest(run)
		if err == nil {
			err = os.WriteFile(filepath.Join(root, name), []byte(text), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(jumps, "scheduler/scheduler_config.json", `{"_class_name": "LCMScheduler"}`)
	write(few, "training/few.json", `{"objective": "kd", "steps": 1, "sampler": "euler", "grid": "uniform"}`)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{run}, exitUsage, "MODEL and DATA"},
		{[]string{run, "glyphs", "--size", "8", "--metrics", "elbo", "--real-count", "1"}, exitUsage, "elbo of 1 images"},
		{[]string{run, "glyphs", "--size", "8", "--bpd-divergence", "-1"}, exitUsage, "--bpd-divergence -1: want auto"},
		{[]string{"glyphs", "glyphs"}, exitUsage, "glyphs is no model"},
		{[]string{run, statistics}, exitUsage, "file of statistics"},
		{[]string{statistics, "glyphs"}, exitUsage, "file of statistics"},
		{[]string{run, "glyphs"}, exitUsage, "images of 32×32, and"},
		{[]string{run, "glyphs"}, exitUsage, "--size 8 brings them to it"},
		{[]string{run, pictures}, exitUsage, "--channels 3 brings them to it"},
		{[]string{run, latents}, exitUsage, "holds numbers"},
		{[]string{run, "glyphs", "--size", "8", "--real-count", "1"}, exitUsage, "1"},
		{[]string{run, filepath.Join(dir, "nowhere")}, exitInput, "nowhere"},
		{[]string{jumps, "glyphs", "--size", "8"}, exitInput, "LCMScheduler"},
		{[]string{few, "glyphs", "--size", "8"}, exitInput, "trained by kd"},
		{[]string{run, "glyphs:letters", "--size", "8"}, exitUsage, "does not know"},
		{[]string{run, "glyphs", "--size", "8", "--steps", "10"}, exitUsage, "--steps: of other metrics"},
		{[]string{run, "glyphs", "--size", "8", "--count", "10"}, exitUsage, "--real-count"},
		{[]string{run, "glyphs", "--size", "8", "--precision", "bf16"}, exitUsage, "fp32"},
		{[]string{run, "glyphs", "--size", "8", "--bpd-solver", "rk5"}, exitUsage, "rk4"},
		{[]string{run, "glyphs", "--size", "8", "--bpd-rtol", "0"}, exitUsage, "out of range"},
		{[]string{run, "glyphs", "--size", "8", "--bpd-divergence", "none"}, exitUsage, "auto, exact"},
		{[]string{run, "glyphs", "--size", "8", "--metrics", "elbo", "--elbo-max", "-6"}, exitUsage, "the larger first"},
		{[]string{run, "glyphs", "--size", "8", "--metrics", "bpd,fid"}, exitUsage, "a command for each"},
		{[]string{run, "glyphs", "--size", "8", "--metrics", "bdp"}, exitUsage, "there are bpd, elbo"},
		{[]string{run, "glyphs", "--size", "8", "--bpd-steps", "3"}, exitUsage, "--bpd-steps: not of this solver"},
		{[]string{run, "glyphs", "--size", "8", "--bpd-solver", "heun", "-s", "bpd_rtol=0.1"}, exitUsage, "-s bpd_rtol: not of this solver"},
		{[]string{run, "glyphs", "--size", "8", "--elbo-levels", "3"}, exitUsage, "of elbo, which is not among the metrics"},
		{[]string{run, "glyphs", "--metrics", "fd", "--bpd-steps", "3"}, exitUsage, "of bpd, elbo and vlb"},
	} {
		args := append([]string{"eval"}, c.args...)
		if !slices.Contains(args, "--metrics") {
			args = append(args, "--metrics", "bpd")
		}
		out, code, err := fluxion(t, args...)
		if code != c.code || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %d, %v; want %d and %q\n%s", c.args, code, err, c.code, c.want, out)
		}
	}
}

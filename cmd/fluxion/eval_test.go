package main

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/moments"
	"fluxion/data"
	"fluxion/data/durable"
	"fluxion/engine/evaluate"
	"fluxion/engine/metric"
	"fluxion/nets/feature"
	"fluxion/nets/feature/featuretest"
	"fluxion/nets/safetensors"

	"gonum.org/v1/gonum/mat"
)

// foreign writes statistics as other programs do: mu and sigma, and nothing else.
func foreign(t *testing.T, dir, name string, mu, sigma []float64, shape ...int) string {
	t.Helper()
	if shape == nil {
		shape = []int{len(mu), len(mu)}
	}
	path := filepath.Join(dir, name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	err = data.WriteNPZ(f, data.Array{Name: "mu", Shape: []int{len(mu)}, Doubles: mu}, data.Array{Name: "sigma", Shape: shape, Doubles: sigma})
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// result of eval --json.
func evaluated(t *testing.T, args ...string) shownEvaluation {
	t.Helper()
	out, code, err := fluxion(t, append([]string{"eval", "--json"}, args...)...)
	if err != nil {
		t.Fatalf("%v: %d, %v", args, code, err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var r shownEvaluation
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEvalStatistics: two files of statistics need no network; the distance is that of
// pytorch-fid, clean-fid, torch-fidelity and torchmetrics.
func TestEvalStatistics(t *testing.T) {
	dir := t.TempDir()
	a := foreign(t, dir, "a.npz", []float64{0, 0}, []float64{2, 1, 1, 2})
	b := foreign(t, dir, "b.npz", []float64{1, -1}, []float64{1, 0, 0, 3})
	r := evaluated(t, "--metrics", "fd", a, b)
	if got := r.Metrics["fd"]; math.Abs(got-2.516685226452118) > 1e-14 || r.Network != "" {
		t.Errorf("%+v", r)
	}
	t.Setenv("FLUXION_STEPS", "7") // for other commands
	evaluated(t, "--metrics", "fd", a, b)
	if len(r.Notes) != 2 || !strings.Contains(r.Notes[0], "does not say of which network") {
		t.Errorf("files that say nothing: %+v", r)
	}
	edm2 := filepath.Join("..", "..", "nets", "pickle", "testdata", "statistics.pkl")
	if r := evaluated(t, "--metrics", "fd", edm2, edm2); math.Abs(r.Metrics["fd"]) > 1e-6 || r.N[0] != 50000 {
		t.Errorf("a file of EDM2 against itself: %+v", r)
	}
}

// ours writes statistics of a network and convention.
func ours(t *testing.T, path, network, convention string) string {
	t.Helper()
	s := &evaluate.Set{Name: path, N: 10, Statistics: &metric.Statistics{N: 10, Mean: []float64{0, 0}, Covariance: mat.NewSymDense(2, []float64{2, 1, 1, 2})}}
	if err := moments.Write(durable.Disk{}, path, s, moments.About{Network: network, Weights: "12345678", Convention: convention}); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEvalRefuses what cannot be judged, in one line that says what would be right.
func TestEvalRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("TORCH_HOME", "")
	good := foreign(t, dir, "good.npz", []float64{0, 0}, []float64{2, 1, 1, 2})
	tf, clean := ours(t, filepath.Join(dir, "tf.npz"), "inception", "legacy-tf"), ours(t, filepath.Join(dir, "clean.npz"), "inception", "clean")
	lite := ours(t, filepath.Join(dir, "lite.npz"), "lite0", "legacy-tf")
	weights := filepath.Join(dir, "efficientnet-lite0-57934424.pth")
	write := func(path string, from string) string {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(path, b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	pickles := filepath.Join("..", "..", "nets", "pickle", "testdata")
	photo, samples := filepath.Join(dir, "photo.png"), filepath.Join(dir, "samples.npz")
	err := data.WriteSheet(photo, data.Pixels{Bytes: make([]byte, 4)}, 1, 2, 2, 1, 1)
	if err == nil {
		err = durable.Disk{}.Write(samples, func(w io.Writer) error { return data.WriteNPZ(w, data.Array{Name: "fluxion", Text: "{}"}) })
	}
	if err != nil {
		t.Fatal(err)
	}
	write(weights, filepath.Join(pickles, "state.pth"))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "SAMPLES"},
		{[]string{good, good, good}, exitUsage, "3 arguments"},
		{[]string{good}, exitUsage, "compares two sets"},
		{[]string{"--metrics", "fidd", good, good}, exitUsage, `did you mean "fid"`},
		{[]string{"--metrics", "fid", "--network", "lite0", good, good}, exitUsage, "fd"},
		{[]string{"--convention", "cleen", good, good}, exitUsage, `did you mean "clean"`},
		{[]string{"--network", "dinov2", "--convention", "clean", "glyphs", "glyphs"}, exitUsage, "want dgm"},
		{[]string{"--network", "lite0", "--convention", "dgm", "glyphs", "glyphs"}, exitUsage, "dinov2"},
		{[]string{"--network", "dinov2", "--weights", write(filepath.Join(dir, "dinov2_vitl14_pretrain.pth"), filepath.Join(pickles, "state.pth")), "glyphs", "glyphs"}, exitInput, "want the weights of dinov2"},
		{[]string{"--metrics", "kid", good, good}, exitUsage, "give the images"},
		{[]string{tf, clean}, exitUsage, "convention clean"},
		{[]string{"--metrics", "fid", lite, lite}, exitUsage, "lite0"},
		{[]string{"--metrics", "fid", good, good}, exitUsage, "not of another network"},
		{[]string{"--metrics", "fd", "--steps", "7", "-s", "eta=0", good, good}, exitUsage, "--steps, -s eta: there is no model to sample"},
		{[]string{"--metrics", "fd", "--precision", "bf16", good, good}, exitUsage, "--precision: there is no model to sample"},
		{[]string{"--metrics", "fd", "glyphs", filepath.Join(dir, "nowhere")}, exitInput, "nowhere"},
		{[]string{"--metrics", "prdc", "--count", "3", "--network", "lite0", "--weights", liteWeights(t, filepath.Join(dir, "w.safetensors")), "glyphs", "glyphs"}, exitUsage, "want at least 6"},
		{[]string{"--save", good, "--metrics", "fd", "--network", "lite0", "--weights", filepath.Join(dir, "w.safetensors"), "glyphs"}, exitUsage, "compares two sets"},
		{[]string{"--save", good, "--network", "lite0", "--weights", filepath.Join(dir, "w.safetensors"), "glyphs"}, exitUsage, "no such file of this program"},
		{[]string{"--save", samples, "--network", "lite0", "--weights", filepath.Join(dir, "w.safetensors"), "glyphs"}, exitUsage, "no such file of this program"},
		{[]string{"--nearest", photo, "--metrics", "fd", "--count", "8", "--real-count", "8", "--network", "lite0", "--weights", filepath.Join(dir, "w.safetensors"), "glyphs", "glyphs"}, exitUsage, "no such sheet"},
		{[]string{"--metrics", "fd", good, foreign(t, dir, "three.npz", []float64{0, 0, 0}, []float64{1, 0, 0, 0, 1, 0, 0, 0, 1})}, exitUsage, "different networks"},
		{[]string{"--metrics", "fd", good, foreign(t, dir, "shape.npz", []float64{0, 0}, []float64{1, 0}, 2)}, exitInput, "shape.npz"},
		{[]string{"--metrics", "fd", good, foreign(t, dir, "nan.npz", []float64{0, math.NaN()}, []float64{1, 0, 0, 1})}, exitInput, "mean 1 is NaN"},
		{[]string{"--metrics", "fd", good, write(filepath.Join(dir, "program.pkl"), filepath.Join(pickles, "program.pkl"))}, exitInput, "not run"},
		{[]string{"--metrics", "fd", good, foreign(t, dir, "indefinite.npz", []float64{0, 0}, []float64{1, -5, -5, 1})}, exitUsage, "no covariance"},
		{[]string{"--metrics", "fd", good, foreign(t, dir, "asymmetric.npz", []float64{0, 0}, []float64{1, 5, 0, 1})}, exitInput, "not symmetric"},
		{[]string{"--metrics", "fd", good, foreign(t, dir, "large.npz", []float64{0, 1e200}, []float64{1, 0, 0, 1})}, exitInput, "mean 1 is 1e+200"},
		{[]string{"--metrics", "prdc", "--neighbours", "9223372036854775807", good, good}, exitUsage, "out of range"},
		{[]string{"--metrics", "kid", "--kid-subsets", "1000000000", good, good}, exitUsage, "out of range"},
		{[]string{"--metrics", "", good, good}, exitUsage, "names none"},
		{[]string{"--metrics", "fd", good, filepath.Join(dir, "none.npz")}, exitInput, "none.npz"},
		{[]string{"--metrics", "fid", "glyphs", "glyphs"}, exitUsage, "6726825d.pth"},
		{[]string{"--metrics", "fid", "--weights", filepath.Join(dir, "none.pth"), "glyphs", "glyphs"}, exitInput, "none.pth"},
		{[]string{"--metrics", "fid", "--weights", filepath.Join(pickles, "state.pth"), "glyphs", "glyphs"}, exitInput, "want the weights of inception"},
		{[]string{"--metrics", "fd", "--network", "lite0", "--weights", weights, "glyphs", "glyphs"}, exitInput, "SHA-256"},
		{[]string{"--save", "x.txt", "glyphs"}, exitUsage, ".npz"},
		{[]string{"--nearest", "x.png", "glyphs"}, exitUsage, "REAL"},
		{[]string{"--metrics", "fd", "--nearest", filepath.Join(dir, "x.png"), good, good}, exitUsage, "want images on both sides"},
	} {
		out, code, err := fluxion(t, append([]string{"eval"}, c.args...)...)
		if code != c.code || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %d, %v; want %d and %q\n%s", c.args, code, err, c.code, c.want, out)
		}
	}
}

// liteWeights writes weights of a formula as a file.
func liteWeights(t *testing.T, path string) string {
	t.Helper()
	f := featuretest.Read(t, "lite0")
	var list []safetensors.Tensor
	for name, shape := range f {
		list = append(list, safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: shape})
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	err = safetensors.Write(file, list, nil, func(s safetensors.Tensor, w io.Writer) error {
		values := make([]float32, s.Elements())
		if err := f.ReadFloat32(s.Name, values); err != nil {
			return err
		}
		return safetensors.WriteFloat32(w, values)
	})
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEval: a model, data and stored statistics, by features of lite0. What was saved
// serves in the place of the images, and neither batch nor threads show.
func TestEval(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	dir := t.TempDir()
	weights := liteWeights(t, filepath.Join(dir, "lite0.safetensors"))
	run, saved := filepath.Join(dir, "run"), filepath.Join(dir, "real.npz")
	if _, code, err := fluxion(t, with(tiny, "--out", run, "--images", "8")...); err != nil {
		t.Fatal(code, err)
	}
	lite := []string{"--network", "lite0", "--weights", weights, "--count", "8", "--real-count", "8"}
	same := evaluated(t, with(lite, "--metrics", "fd,prdc,kid", "glyphs", "glyphs")...)
	if m := same.Metrics; math.Abs(m["fd"]) > 1e-3 || m["precision"] != 1 || m["coverage"] != 1 {
		t.Errorf("images against themselves: %+v", same)
	}
	direct := evaluated(t, with(lite, "--steps", "2", "--threads", "2", "--metrics", "fd", run, "glyphs")...)
	if direct.Metrics["fd"] < 1 || direct.N[0] != 8 || direct.Sampling[0]["sampler"] != "euler" || direct.Sampling[0]["steps"] != "2" || direct.Sampling[1] != nil || direct.Network != "lite0" || len(direct.Weights) != 8 {
		t.Errorf("a model against data: %+v", direct)
	}
	if _, err := os.Stat(noFile); err == nil {
		t.Error("samples were written")
	}
	sheet := filepath.Join(dir, "sheet.png")
	copies := evaluated(t, with(lite, "--metrics", "authpct", "--nearest", sheet, "glyphs", "glyphs")...)
	if c := copies.Copies; c == nil || c.Share != 1 || c.Distance <= 0 || c.Expected != 0.01 {
		t.Errorf("near copies: %+v", c)
	}
	if len(copies.Pairs) != 8 || copies.Pairs[0].Sample != copies.Pairs[0].Real || copies.Pairs[7].Distance != 0 || copies.Metrics["authpct"] != 0 {
		t.Errorf("copies: %+v", copies)
	}
	if _, height, width, _, err := data.ReadPNG(sheet); err != nil || width < 10*32 || height < 2*32 {
		t.Errorf("a sheet of %d×%d: %v", width, height, err)
	}
	evaluated(t, with(lite, "--save", saved, "glyphs")...)
	stored := evaluated(t, with(lite, "--steps", "2", "--metrics", "fd", "--batch", "3", "--threads", "1", run, saved)...)
	if a, b := stored.Metrics["fd"], direct.Metrics["fd"]; math.Abs(a-b) > 1e-5*b {
		t.Errorf("against stored statistics %g, against the images %g", a, b)
	}
}

// TestFeatureFiles: every network has a name to look for, or weights in the program.
func TestFeatureFiles(t *testing.T) {
	for _, n := range feature.Networks {
		if len(featureFiles[n.Name]) == 0 && n.Embedded() == nil {
			t.Errorf("%s has no file", n.Name)
		}
	}
}

package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
)

// noisy writes a folder of glyphs with Gaussian noise of so many grey values.
func noisy(t *testing.T, folder string, seed uint64, count int, deviation float64) string {
	t.Helper()
	glyphs, err := data.NewGlyphs("", seed)
	if err = errors.Join(err, os.Mkdir(folder, 0o777)); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	e := data.NewExample(glyphs)
	for i := range count {
		if err := glyphs.Read(i, e); err != nil {
			t.Fatal(err)
		}
		for k, v := range e.Bytes {
			e.Bytes[k] = byte(min(max(math.Round(float64(v)+deviation*rng.NormFloat64()), 0), 255))
		}
		datatest.WritePNG(t, filepath.Join(folder, fmt.Sprintf("%03d.png", i)), e.Bytes, 32, 32, 3, nil)
	}
	return folder
}

// withoutWeights hides the files of weights that this machine may have.
func withoutWeights(t *testing.T) (cache string) {
	t.Helper()
	cache = t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("TORCH_HOME", filepath.Join(cache, "torch"))
	return cache
}

// TestEvalGlyph: without any file of weights the network that is part of the program
// serves, is named as what it is, and judges noisier images worse.
func TestEvalGlyph(t *testing.T) {
	withoutWeights(t)
	dir := t.TempDir()
	const count = 120
	before := 0.0
	for _, deviation := range []float64{0, 25, 60} {
		path := noisy(t, filepath.Join(dir, fmt.Sprint(deviation)), 3, count, deviation)
		r := evaluated(t, "--real-count", "500", path, "glyphs")
		if fd := r.Metrics["fd"]; !(fd > 1.3*before) || len(r.Metrics) != 1 {
			t.Errorf("noise of %g: %v, with less noise %g", deviation, r.Metrics, before)
		} else {
			before = fd
		}
		if r.Network != "glyph" || len(r.Weights) != 8 || r.How["fd"] != "Fréchet distance on glyph features" {
			t.Errorf("which network is not said: %+v", r)
		}
		if last := r.Notes[len(r.Notes)-1]; !strings.Contains(last, "part of the program") {
			t.Errorf("notes %q do not tell that nobody chose the network", r.Notes)
		}
	}
	r := evaluated(t, "--network", "glyph", "--metrics", "kid,prdc,mind,authpct,fd-infinity", "--count", "200", "--real-count", "200", "--nearest", filepath.Join(dir, "sheet.png"), "glyphs", "glyphs:letters")
	if r.Metrics["precision"] > 0.1 || r.Metrics["kid"] <= 0 || r.Metrics["mind"] <= 0 || r.Metrics["authpct"] < 90 {
		t.Errorf("digits against letters: %v", r.Metrics)
	}
}

// TestEvalNetwork: the network is that of what is given, where the user names none.
func TestEvalNetwork(t *testing.T) {
	cache := withoutWeights(t)
	dir := t.TempDir()
	glyph, other := filepath.Join(dir, "glyph.npz"), filepath.Join(dir, "inception.npz")
	evaluated(t, "--save", glyph, "--count", "100", "glyphs")
	if r := evaluated(t, "--count", "100", "glyphs", glyph); r.Network != "glyph" || math.Abs(r.Metrics["fd"]) > 1e-6 {
		t.Errorf("images against their own statistics: %+v", r)
	}
	mean, covariance := make([]float64, 2048), make([]float64, 2048*2048)
	for i := range mean {
		covariance[i*2048+i] = 1
	}
	foreign(t, dir, "inception.npz", mean, covariance)
	weights := filepath.Join(cache, "fluxion", "weights")
	err := os.MkdirAll(weights, 0o777)
	if err = errors.Join(err, os.WriteFile(filepath.Join(weights, "efficientnet-lite0-57934424.pth"), nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--count", "8", "glyphs", other}, "the weights of inception are needed"},
		{[]string{"--metrics", "fid", "--count", "8", "glyphs", "glyphs"}, "need no file with --network glyph"},
		{[]string{"--metrics", "is", "--count", "8", "glyphs"}, "the weights of inception are needed"},
		{[]string{"--metrics", "fd", "--count", "8", "glyphs", "glyphs"}, "efficientnet-lite0-57934424.pth: has a SHA-256"}, // it is found before glyph
		{[]string{"--metrics", "fd", "--weights", filepath.Join(weights, "efficientnet-lite0-57934424.pth"), "--count", "8", "glyphs", "glyphs"}, "has a SHA-256"},
		{[]string{"--metrics", "fid", "--network", "glyph", "--count", "8", "glyphs", "glyphs"}, "not of glyph"},
		{[]string{"--metrics", "fid", "--count", "8", "glyphs", glyph}, "not of glyph"},
		{[]string{"--network", "glyph", "--weights", filepath.Join(weights, "efficientnet-lite0-57934424.pth"), "--count", "8", "glyphs", "glyphs"}, "efficientnet"},
	} {
		if _, _, err := fluxion(t, append([]string{"eval"}, c.args...)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}

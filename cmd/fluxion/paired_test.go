package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/process"
	"fluxion/engine/scheduler"
	"fluxion/engine/train"
	"fluxion/nets"
)

// pictureFolder makes pictures of a side and channels, n of each class; others by seed.
func pictureFolder(t *testing.T, dir string, side, channels, n, seed int, classes ...string) string {
	t.Helper()
	for c, class := range classes {
		if err := os.MkdirAll(filepath.Join(dir, class), 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			pixels := make([]byte, side*side*channels)
			for k := range pixels {
				pixels[k] = byte(127 + 100*math.Sin(float64(k*(c+1)+i*5+seed)/7))
			}
			file, err := data.EncodePNG(pixels, side, side, channels, nil)
			if err = errors.Join(err, os.WriteFile(filepath.Join(dir, class, fmt.Sprintf("p%d.png", i)), file, 0o666)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// tree is the files below a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var content []byte
			content, err = os.ReadFile(path)
			files[strings.TrimPrefix(path, dir+string(filepath.Separator))] = string(content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestPaired: a model of pairs makes a picture of each image of a set, under its name; the
// same to the bit in parts, in other batches, and where one is made again.
func TestPaired(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	a := pictureFolder(t, in("a"), 4, 1, 3, 0, "cat", "dog")
	b := pictureFolder(t, in("b"), 8, 3, 3, 9, "cat", "dog")
	run := in("run")
	if out, code, err := fluxion(t, with(tiny, "--data", "paired:"+a+","+b, "--images", "16", "--sample-count", "3", "--sample-steps", "2", "--out", run)...); err != nil {
		t.Fatal(code, err, out)
	} else if !strings.Contains(out, "given the input, of 1 channel") || !strings.Contains(out, "resized to 8×8") {
		t.Errorf("the start says\n%s", out)
	}
	sample := func(out string, more ...string) (string, int, error) {
		return fluxion(t, with([]string{"sample", "--model", run, "--steps", "2", "--threads", "1", "--out", in(out)}, more...)...)
	}
	if out, code, err := sample("whole", "--input", a); err != nil {
		t.Fatal(code, err, out)
	}
	want := tree(t, in("whole"))
	if len(want) != 6 || want[filepath.Join("dog", "p2.png")] == "" || want[filepath.Join("cat", "p0.png")] == want[filepath.Join("cat", "p1.png")] {
		t.Errorf("%d files, %v", len(want), want)
	}
	if _, _, _, channels, err := data.ReadPNG(in("whole-grid.png")); err != nil || channels != 3 {
		t.Errorf("grid of %d channels, %v", channels, err)
	}
	for _, part := range []string{"0-1", "2-4", "5"} {
		if _, code, err := sample("parts", "--input", "paired:"+a+","+b, "--seeds", part, "--batch", "2"); err != nil {
			t.Fatal(code, err)
		}
	}
	if err := os.Remove(filepath.Join(in("parts"), "dog", "p1.png")); err != nil {
		t.Fatal(err)
	}
	if out, code, err := sample("parts", "--input", a, "--batch", "5"); err != nil || !strings.Contains(out, "1 made") {
		t.Fatal(code, err, out)
	}
	for name, file := range tree(t, in("parts")) {
		if file != want[name] {
			t.Errorf("%s is another in parts", name)
		}
	}
	other := pictureFolder(t, in("other"), 8, 1, 3, 50, "cat", "dog")
	if _, code, err := sample("whole", "--input", other); err == nil || code != 4 || !strings.Contains(err.Error(), "input was") {
		t.Errorf("other inputs, the same names: %d, %v", code, err)
	}
	if _, code, err := sample("all.npz", "--input", a, "--count", "4"); err != nil {
		t.Errorf("as numbers: %d, %v", code, err)
	}
	if out, code, err := fluxion(t, "eval", run, "paired:"+a+","+b, "--count", "4", "--metrics", "fd", "--network", "glyph", "--steps", "1", "--size", "8"); err != nil {
		t.Errorf("judged against the images of pairs: %d, %v, %s", code, err, out)
	}
	plain := in("plain")
	if _, code, err := fluxion(t, with(tiny, "--data", b, "--images", "4", "--out", plain)...); err != nil {
		t.Fatal(code, err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"sample", "--model", run, "--count", "2", "--out", in("x")}, 2, "want --input"},
		{[]string{"sample", "--model", run, "--out", in("x")}, 2, "either --count N or --seeds"},
		{[]string{"sample", "--model", run, "--input", a, "--count", "7", "--out", in("x")}, 2, "has 6 images"},
		{[]string{"sample", "--model", run, "--input", in("nowhere"), "--out", in("x")}, 3, "nowhere"},
		{[]string{"sample", "--model", run, "--input", "toy:moons", "--out", in("x")}, 2, "1×1"},
		{[]string{"sample", "--model", run, "--input", a, "--init", b, "--strength", "0.5", "--out", in("x")}, 2, "two sets"},
		{[]string{"sample", "--model", plain, "--input", a, "--out", in("x")}, 2, "is given no second image"},
		{[]string{"sample", "--model", plain, "--init", b, "--out", in("x")}, 2, "strength 1"},
		{[]string{"sample", "--model", plain, "--init", b, "--mask", in("a/cat/p0.png"), "--strength", "0.5", "--out", in("x")}, 2, "want --init IMAGE"},
		{[]string{"sample", "--model", plain, "--from", plain, "--count", "2", "--out", in("x")}, 2, "--from need"},
		{[]string{"sample", "--model", plain, "--from", plain, "--init", in("b/cat/p0.png"), "--count", "2", "--out", in("x")}, 2, "want a set"},
		{[]string{"sample", "--model", plain, "--from", run, "--init", b, "--out", in("x")}, 2, "second image"},
		{[]string{"sample", "--model", plain, "--from", plain, "--init", b, "--sampler", "ddpm", "--out", in("x")}, 2, "cannot be inverted"},
		{[]string{"sample", "--model", plain, "--guide", run, "--guidance", "2", "--count", "2", "--out", in("x")}, 3, "second image"},
		{[]string{"pairs", "--model", run, "--count", "2", "--out", in("x")}, 2, "noise alone"},
		{[]string{"eval", run, b, "--count", "4", "--metrics", "fd", "--network", "glyph"}, 2, "want --input"},
		{[]string{"eval", run, b, "--metrics", "bpd", "--size", "8"}, 3, "second image"},
		{with(tiny, "--data", "paired:"+a+","+b, "--condition", "none", "--out", in("y")), 2, "condition"},
		{with(tiny, "--data", "paired:"+a+","+b, "--coupling", "ot", "--out", in("y")), 2, "coupling"},
		{with(tiny, "--data", "paired:"+a, "--out", in("y")), 3, "want two sets"},
	} {
		_, code, err := fluxion(t, c.args...)
		if err == nil || code != c.code || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: exit code %d, %v; want %d, %q", c.args, code, err, c.code, c.want)
		}
	}
}

// loudModel writes a model none of whose layers is silent.
func loudModel(t *testing.T, dir string, seed uint64) string {
	t.Helper()
	n, err := train.Network("micro", nets.Spec{Height: 8, Width: 8, Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Get("fm", process.ScheduleOptions{Shift: 1}, "u")
	if err != nil {
		t.Fatal(err)
	}
	config, err := scheduler.Of(p)
	if err != nil {
		t.Fatal(err)
	}
	params := nets.Params(n)
	flat := make([]float32, nets.FlatSize(params))
	nets.Initialise(params, seed, flat)
	for i := range flat {
		flat[i] += float32(i%7-3) * 0.02
	}
	unet, sub := filepath.Join(dir, "unet"), filepath.Join(dir, "scheduler")
	err = errors.Join(os.MkdirAll(unet, 0o777), os.MkdirAll(sub, 0o777), nets.WriteModel(unet, n, params, flat), os.WriteFile(filepath.Join(sub, "scheduler_config.json"), config.Bytes(), 0o666))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestInversion: images that a model takes to noise, and back, are themselves, the nearer
// the more steps; another model makes others of the noise. In parts they are the same.
func TestInversion(t *testing.T) {
	dir := t.TempDir()
	set := pictureFolder(t, filepath.Join(dir, "set"), 8, 3, 3, 1, "")
	a, b := loudModel(t, filepath.Join(dir, "A"), 3), loudModel(t, filepath.Join(dir, "B"), 4)
	made := 0
	off := func(from, to string, more ...string) float64 {
		made++
		out := filepath.Join(dir, fmt.Sprint("out", made))
		args := with([]string{"sample", "--from", from, "--model", to, "--weights", "raw", "--init", set, "--out", out, "--threads", "1", "--precision", "fp32"}, more...)
		if _, code, err := fluxion(t, args...); err != nil {
			t.Fatal(code, err)
		}
		sum, n := 0.0, 0
		for name := range tree(t, set) {
			got, _, _, _, err := data.ReadPNG(filepath.Join(out, name))
			want, _, _, _, err2 := data.ReadPNG(filepath.Join(set, name))
			if err = errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			for k := range want {
				d := float64(got[k]) - float64(want[k])
				sum, n = sum+d*d, n+1
			}
		}
		return math.Sqrt(sum / float64(n)) // in levels
	}
	few, many := off(a, a, "--sampler", "euler", "--steps", "4"), off(a, a, "--sampler", "heun", "--steps", "24")
	exact, other := off(a, a, "--sampler", "rk45"), off(a, b, "--sampler", "heun", "--steps", "24")
	t.Logf("off by %.3g levels in 4 steps, %.3g in 24, %.3g by rk45; by another model %.3g", few, many, exact, other)
	if !(many < few/4) || !(many < 1) || !(exact < 0.5) || !(other > 10*many) {
		t.Errorf("off by %g levels in 4 steps, %g in 24, %g by rk45; by another model %g", few, many, exact, other)
	}
	want := tree(t, filepath.Join(dir, "out4"))
	parts := filepath.Join(dir, "parts")
	for _, seeds := range []string{"2", "0-1"} {
		if _, code, err := fluxion(t, "sample", "--from", a, "--model", b, "--weights", "raw", "--init", set, "--out", parts, "--threads", "1", "--precision", "fp32", "--sampler", "heun", "--steps", "24", "--seeds", seeds, "--batch", "1"); err != nil {
			t.Fatal(code, err)
		}
	}
	for name, file := range tree(t, parts) {
		if file != want[name] {
			t.Errorf("%s is another in parts", name)
		}
	}
	// SDEdit: the less noise, the nearer.
	near := func(strength string) float64 {
		out := filepath.Join(dir, "strength"+strength)
		if _, code, err := fluxion(t, "sample", "--model", a, "--weights", "raw", "--init", set, "--strength", strength, "--out", out, "--steps", "20", "--threads", "1"); err != nil {
			t.Fatal(code, err)
		}
		got, _, _, _, err := data.ReadPNG(filepath.Join(out, "p1.png"))
		want, _, _, _, err2 := data.ReadPNG(filepath.Join(set, "p1.png"))
		if err = errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, want) {
			t.Errorf("strength %s changes nothing", strength)
		}
		sum := 0.0
		for k := range want {
			sum += math.Abs(float64(got[k]) - float64(want[k]))
		}
		return sum
	}
	if low, high := near("0.1"), near("0.8"); !(low < high/2) {
		t.Errorf("strength 0.1 is off by %g, 0.8 by %g", low, high)
	}
}

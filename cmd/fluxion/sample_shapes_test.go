package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/data/datatest"
)

// mixed writes pictures of two shapes, 8×8 and 6×10 as height×width, in turn two of each, and says which has which.
func mixed(t *testing.T, dir string, n int) (sizes []data.Size) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s := []data.Size{{Height: 8, Width: 8}, {Height: 6, Width: 10}}[i/2%2]
		pixels := make([]byte, 3*s.Height*s.Width)
		for k := range pixels {
			pixels[k] = byte(k*(i+3)/2 + 40*i)
		}
		datatest.WritePNG(t, filepath.Join(dir, fmt.Sprintf("%02d.png", i)), pixels, s.Height, s.Width, 3, nil)
		sizes = append(sizes, s)
	}
	return sizes
}

// sameFile holds two files against each other.
func sameFile(t *testing.T, what, a, b string) {
	t.Helper()
	one, err1 := os.ReadFile(a)
	other, err2 := os.ReadFile(b)
	if err1 != nil || err2 != nil || !bytes.Equal(one, other) {
		t.Errorf("%s: %s and %s differ: %v, %v", what, a, b, err1, err2)
	}
}

// samePixels holds two pictures against each other.
func samePixels(t *testing.T, what, a, b string) {
	t.Helper()
	one, h, w, _, err1 := data.ReadPNG(a)
	other, height, width, _, err2 := data.ReadPNG(b)
	if err1 != nil || err2 != nil || h != height || w != width || !bytes.Equal(one, other) {
		t.Errorf("%s: %s of %d×%d and %s of %d×%d differ: %v, %v", what, a, h, w, b, height, width, err1, err2)
	}
}

// TestSampleShapes: of a file of several shapes a sample is made of each image in its shape, with the bytes
// that it has where all images are brought to that shape; in folders, tars and parts, of inputs, beginnings
// and inversions. Folders have shapes by --fit buckets, and what is of one shape alone is refused.
func TestSampleShapes(t *testing.T) {
	t.Chdir(t.TempDir())
	good := func(args ...string) string { t.Helper(); return done(t, args...) }
	sizes := mixed(t, "pictures", 8)
	mixed(t, "squares", 2)
	for _, dir := range []string{"pictures", "squares"} {
		good("data", "pack", dir, dir+".npz", "--size", "8", "--fit", "buckets:2")
	}
	micro := []string{"--preset", "micro", "--batch", "2", "--threads", "1", "--sample-count", "0", "--images", "4"}
	said := good(with([]string{"train", "--data", "paired:pictures.npz,pictures.npz", "--out", "pairs"}, micro...)...)
	if !strings.Contains(said, "--input pictures.npz\n") {
		t.Errorf("what comes next: %s", said)
	}
	said = good(with([]string{"train", "--data", "paired:pictures,pictures", "--size", "8", "--fit", "buckets:2", "--out", "fromfolders"}, micro...)...)
	if !strings.Contains(said, "--input pictures --fit buckets:2\n") {
		t.Errorf("what comes next: %s", said)
	}
	said = good(with([]string{"train", "--data", "paired:pictures,pictures.npz", "--out", "both"}, micro...)...)
	if !strings.Contains(said, "--input pictures --fit buckets:2\n") {
		t.Errorf("what comes next: %s", said)
	}
	good(with([]string{"train", "--data", "pictures.npz", "--out", "plain"}, micro...)...)

	picture := func(out string, i int) string { return filepath.Join(out, fmt.Sprintf("%06d.png", i)) }
	steps := []string{"--steps", "2", "--threads", "1"}
	for _, c := range []struct {
		name string
		args []string
	}{{"input", []string{"--model", "pairs", "--input"}}, {"init", []string{"--model", "plain", "--strength", "0.5", "--init"}}} {
		sample := func(out, set string, args ...string) string {
			return good(with(with([]string{"sample", "--out", c.name + out}, with(c.args, set)...), with(steps, args...)...)...)
		}
		sample("", "pictures.npz")
		for _, s := range []string{"8", "6x10"} {
			sample(s, "pictures.npz", "--size", s, "--batch", "3")
			if p, err := data.InspectPNG(c.name + s + "-grid.png"); err != nil || p.Height == 0 {
				t.Errorf("the grid: %v", err)
			}
		}
		sample("folder", "pictures", "--fit", "buckets:2")
		for i, s := range sizes {
			sameFile(t, c.name, picture(c.name, i), picture(c.name+s.String(), i))
			samePixels(t, c.name+" of a folder", picture(c.name, i), filepath.Join(c.name+"folder", fmt.Sprintf("%02d.png", i)))
			if p, err := data.InspectPNG(picture(c.name, i)); err != nil || p.Height != s.Height || p.Width != s.Width {
				t.Errorf("%s %d: %+v, %v", c.name, i, p, err)
			}
		}
		if said := sample("", "pictures.npz"); !strings.Contains(said, "0 made") {
			t.Errorf("again: %s", said)
		}
		sample("", "pictures.npz", "--verify")
		sample(".tar", "pictures.npz")
		sample(".tar", "pictures.npz", "--verify")
		sample("parts", "pictures.npz", "--part", "1/2")
		sample("parts", "pictures.npz", "--part", "2/2")
		for i := range sizes {
			sameFile(t, "parts", picture(c.name, i), picture(c.name+"parts", i))
		}
		sameFile(t, "grid", c.name+"-grid.png", c.name+"parts-grid.png")
		sameFile(t, "grid of a tar", c.name+"-grid.png", c.name+".tar-grid.png")
		sample("crop", "pictures.npz", "--fit", "crop")
		sameFile(t, "cropped", picture(c.name+"crop", 2), picture(c.name+"8", 2))
	}
	for _, set := range []string{"pictures", "squares"} { // whose images are the first two of them
		good(with([]string{"sample", "--model", "plain", "--from", "plain", "--init", set + ".npz", "--sampler", "heun", "--out", "from" + set}, steps...)...)
	}
	for i := range 2 {
		samePixels(t, "inverted", picture("frompictures", i), picture("fromsquares", i))
	}
	if p, err := data.InspectPNG(picture("frompictures", 2)); err != nil || p.Width != 10 {
		t.Errorf("inverted: %+v, %v", p, err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--input", "pictures.npz", "--out", "s.npz"}, "--out s.npz holds samples of one shape, and --input pictures.npz has images of 2; want a folder or a tar, or --size"},
		{[]string{"--input", "pictures.npz", "--out", "s.npz", "--uint8"}, "holds samples of one shape"},
		{[]string{"--input", "pictures.npz", "--out", "s", "--save-noise", "n.npy"}, "files hold noise of one shape"},
		{[]string{"--input", "pictures.npz", "--out", "s", "--fit", "buckets", "--size", "6x8"}, "brings images to shapes of about the area of a square, and size is 6x8"},
		{[]string{"--input", "pictures", "--out", "s", "--fit", "buckets:3"}, "a side of 8 is no multiple of 3"},
		{[]string{"--model", "plain", "--count", "2", "--out", "s", "--fit", "pad"}, "--fit pad is of images of a set"},
	} {
		args := with([]string{"sample", "--model", "pairs"}, with(c.args, steps...)...)
		if _, code, err := fluxion(t, args...); code != exitUsage || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v: %d, %v; want %q", c.args, code, err, c.want)
		}
	}
}

// TestShapesAreTold: samples and pairs of a model that was trained on several shapes say that theirs is one
// of them, wherever its checkpoint lies, until a size is asked for; then pairs are what sample makes of it.
func TestShapesAreTold(t *testing.T) {
	t.Chdir(t.TempDir())
	good := func(args ...string) string { t.Helper(); return done(t, args...) }
	mixed(t, "pictures", 8)
	good("train", "--data", "pictures", "--size", "8", "--fit", "buckets:2", "--preset", "micro", "--batch", "2", "--threads", "1", "--sample-count", "0", "--images", "4", "--out", "run")
	good("convert", "run", "alone.safetensors")
	const note = "the model was trained on images of 2 shapes, height×width: 6×10, 8×8; all of these are 8×8; --size 6x10 makes others"
	of := []string{"--count", "3", "--steps", "2", "--threads", "1", "--precision", "fp32"}
	for i, model := range []string{"run", filepath.Join("run", "checkpoints", "4"), "alone.safetensors"} {
		for _, c := range []string{"sample", "pairs"} {
			out := fmt.Sprint(c, i)
			if said := good(with([]string{c, "--model", model, "--out", out}, of...)...); !strings.Contains(said, note) {
				t.Errorf("%s %s: %s", c, model, said)
			}
		}
	}
	if said := good(with([]string{"sample", "--model", "run", "--out", "wide.npz", "--size", "6x10"}, of...)...); strings.Contains(said, "shapes") {
		t.Error(said)
	}
	said := good(with([]string{"pairs", "--model", "run", "--out", "wide", "--size", "6x10", "--json"}, of...)...)
	if e := events(t, said); e[0]["event"] != "start" || fmt.Sprint(e[0]["notes"]) != "[]" {
		t.Errorf("%v", e[0])
	}
	a, err1 := data.Open("pairs:wide", data.Options{})
	b, err2 := data.Open("wide.npz", data.Options{Labels: data.NoLabels})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	defer a.Close()
	defer b.Close()
	if got := shapeOf(a); got != [3]int{6, 10, 3} || a.Len() != 3 {
		t.Fatalf("%d pairs of %v", a.Len(), got)
	}
	for i := range 3 {
		x, y := data.NewExample(a), data.NewExample(b)
		if err := errors.Join(a.Read(i, x), b.Read(i, y)); err != nil || !slices.Equal(x.Floats, y.Floats) {
			t.Errorf("pair %d is not what sample makes: %v", i, err)
		}
	}
	if _, code, err := fluxion(t, with([]string{"pairs", "--model", "run", "--out", "wide"}, of...)...); code != exitFolder || !strings.Contains(fmt.Sprint(err), "size was [6 10 3], now [8 8 3]") {
		t.Errorf("of another size: %d, %v", code, err)
	}
}

// TestEvalShapes: data are judged in the shapes that they are trained in: of a bucket file, and of pictures
// with --fit buckets, as samples made of them are; bits per dimension are the mean of those that the images
// have where all are brought to one shape.
func TestEvalShapes(t *testing.T) {
	t.Chdir(t.TempDir())
	good := func(args ...string) string { t.Helper(); return done(t, args...) }
	sizes := mixed(t, "pictures", 8)
	good("data", "pack", "pictures", "pictures.npz", "--size", "8", "--fit", "buckets:2")
	for _, c := range []struct{ data, out string }{{"pictures.npz", "plain"}, {"paired:pictures.npz,pictures.npz", "pairs"}} {
		good("train", "--data", c.data, "--preset", "micro", "--batch", "2", "--threads", "1", "--sample-count", "0", "--images", "4", "--out", c.out)
	}
	metrics := func(args ...string) map[string]float64 {
		t.Helper()
		out := good(append([]string{"eval", "--json"}, args...)...)
		var r struct {
			Metrics map[string]float64
			Sizes   []string
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
			t.Fatal(err, out)
		}
		alone := strings.HasPrefix(args[1], "alone")
		if !alone && (len(r.Sizes) != 2 || r.Sizes[1] != "2 shapes of about 8×8×3") {
			t.Errorf("%v: sizes %q", args, r.Sizes)
		}
		return r.Metrics
	}
	if m := metrics("pictures.npz", "pictures", "--size", "8", "--fit", "buckets:2", "--metrics", "fd", "--nearest", "sheet.png"); math.Abs(m["fd"]) > 1e-6 {
		t.Errorf("a file and what it was packed of are apart: %v", m)
	}
	a := metrics("pairs", "paired:pictures.npz,pictures.npz", "--count", "8", "--metrics", "fd", "--steps", "2", "--nearest", "pairs.png")
	b := metrics("pairs", "paired:pictures,pictures", "--size", "8", "--fit", "buckets:2", "--count", "8", "--metrics", "fd", "--steps", "2")
	if a["fd"] != b["fd"] || a["fd"] == 0 {
		t.Errorf("of a file %v, of its pictures %v", a, b)
	}

	likelihood := []string{"--metrics", "bpd,elbo", "--bpd-solver", "heun", "--bpd-steps", "2", "--elbo-levels", "2", "--seed", "3"}
	whole := metrics(append([]string{"plain", "pictures.npz"}, likelihood...)...)
	again := metrics(append([]string{"plain", "pictures", "--size", "8", "--fit", "buckets"}, likelihood...)...)
	if fmt.Sprint(whole) != fmt.Sprint(again) {
		t.Errorf("of a file %v, of its pictures %v", whole, again)
	}
	sums := map[string]float64{}
	for _, s := range []data.Size{{Height: 8, Width: 8}, {Height: 6, Width: 10}} { // the others are broken, so that the numbers of the images stay
		dir := "alone" + s.String()
		mixed(t, dir, 8)
		for i, of := range sizes {
			if of != s {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.png", i)), []byte("no picture"), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
		for name, value := range metrics(append([]string{"plain", dir, "--size", fmt.Sprintf("%dx%d", s.Height, s.Width), "--skip-broken"}, likelihood...)...) {
			sums[name] += value / 2
		}
	}
	for name, want := range sums {
		if off := math.Abs(whole[name] - want); off > 1e-12*math.Abs(want) {
			t.Errorf("%s is %v, of the shapes alone %v", name, whole[name], want)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"pictures.npz", "pictures", "--fit", "buckets"}, exitUsage, "--fit buckets cuts out parts of a size, and none is given; want --size"},
		{[]string{"pictures.npz", "pictures.npz", "--fit", "pad"}, exitInput, "fit pad is how they are brought to one; want --size"},
		{[]string{"pictures.npz", "pictures.npz", "--size", "8", "--fit", "random-crop"}, exitUsage, "want crop, pad, stretch, buckets or buckets:STEP"},
	} {
		if _, code, err := fluxion(t, append([]string{"eval", "--metrics", "fd"}, c.args...)...); code != c.code || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v: %d, %v; want %d, %q", c.args, code, err, c.code, c.want)
		}
	}
	for _, sheet := range []string{"sheet.png", "pairs.png"} { // 16 images in rows of ten, which are as wide as the widest
		if p, err := data.InspectPNG(sheet); err != nil || p.Width%(10*(10+2)+2) != 0 {
			t.Errorf("%s: %+v, %v", sheet, p, err)
		}
	}
}

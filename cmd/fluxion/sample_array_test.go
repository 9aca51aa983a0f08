package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
)

// latents writes a set of a few images of four channels, whose values go beyond ±1.
func latents(t *testing.T, path string) {
	t.Helper()
	values := make([]float32, 8*8*8*4)
	for i := range values {
		values[i] = float32(i%11)/2 - 2.5
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = data.WriteNPZ(f, data.Array{Name: "latents", Shape: []int{8, 8, 8, 4}, Floats: values}, data.Array{Name: "labels", Shape: []int{8}, Integers: []int64{0, 1, 2, 0, 1, 2, 0, 1}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSampleArray: a model of latents is sampled into a .npz, as it is, and the file is
// a data set again; the same command leaves it, another is refused.
func TestSampleArray(t *testing.T) {
	dir := t.TempDir()
	set, run, out := filepath.Join(dir, "set.npz"), filepath.Join(dir, "run"), filepath.Join(dir, "out", "a.npz")
	latents(t, set)
	text, code, err := fluxion(t, "train", "--data", set, "--preset", "micro", "--batch", "4", "--images", "16", "--schedule", "ddpm-linear", "--output-kind", "eps", "--out", run)
	if err != nil {
		t.Fatal(code, err)
	}
	for _, want := range []string{"8×8×4, float32", "no grids", ".npz --count 1000"} {
		if !strings.Contains(text, want) {
			t.Errorf("training does not say %q:\n%s", want, text)
		}
	}
	config, err := os.ReadFile(filepath.Join(run, "checkpoints", "16", "scheduler", "scheduler_config.json"))
	if err != nil || !strings.Contains(string(config), `"clip_sample": false`) {
		t.Errorf("diffusers would clip latents to ±1 (%v):\n%s", err, config)
	}
	sample := []string{"sample", "--model", run, "--count", "5", "--steps", "3"}
	images := func(path string) (all []float32, classes []int) {
		d, err := data.Open(path, data.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for i := range d.Len() {
			e := data.NewExample(d)
			if err := d.Read(i, e); err != nil {
				t.Fatal(err)
			}
			all, classes = append(all, e.Floats...), append(classes, e.Class)
		}
		return all, classes
	}
	if text, code, err = fluxion(t, with(sample, "--out", out, "--batch", "2")...); err != nil || !strings.Contains(text, "5 made") {
		t.Fatal(text, code, err)
	}
	got, classes := images(out)
	if len(got) != 5*8*8*4 || !slices.Equal(classes, []int{0, 1, 2, 0, 1}) || slices.Max(got) <= 1 {
		t.Errorf("%d values up to %v, of classes %v", len(got), slices.Max(got), classes)
	}
	other := filepath.Join(dir, "other.npz")
	if _, code, err := fluxion(t, with(sample, "--out", other)...); err != nil {
		t.Fatal(code, err)
	}
	if again, _ := images(other); !slices.Equal(again, got) {
		t.Error("the samples depend on the batch")
	}
	if text, code, err := fluxion(t, with(sample, "--out", out)...); err != nil || !strings.Contains(text, "5 were there") {
		t.Error(text, code, err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{with(sample, "--out", out, "--seed", "2"), exitFolder, "key was 0, now 2"},
		{with(sample, "--out", set), exitFolder, "set.npz was not made by sample"},
		{with(sample, "--out", filepath.Join(dir, "pictures")), exitInput, "--out FILE.npz"},
	} {
		if _, code, err := fluxion(t, c.args...); code != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: exit code %d, %v; want %d, %q", c.args, code, err, c.code, c.want)
		}
	}
	if text, code, err := fluxion(t, with(sample, "--out", out, "--seed", "2", "--overwrite")...); err != nil || !strings.Contains(text, "5 made") {
		t.Error(text, code, err)
	}
}

// TestArrayParts: a file of floats that parts have made, in any order, has the bytes of one that is
// made at once; --verify finds a sample that was changed, and what is not there.
func TestArrayParts(t *testing.T) {
	dir := t.TempDir()
	run, one, many := trainedRun(t), filepath.Join(dir, "one.npz"), filepath.Join(dir, "below", "many.npz")
	sample := []string{"sample", "--model", run, "--count", "7", "--steps", "2", "--batch", "2"}
	good := func(want string, args ...string) {
		t.Helper()
		if text, code, err := fluxion(t, with(sample, args...)...); err != nil || !strings.Contains(text, want) {
			t.Fatalf("%v: %d, %v, %s; want %q", args, code, err, text, want)
		}
	}
	good("7 made", "--out", one)
	good("part 3/3, 2 images in "+many+": 2 made", "--out", many, "--part", "3/3")
	good("2 were there; 5 of other parts are still to come", "--out", many, "--part", "3/3")
	if _, err := os.Stat(many); err == nil {
		t.Error("a file with a third of the samples")
	}
	good("3 made", "--out", many, "--part", "1/3")
	if _, code, err := fluxion(t, with(sample, "--out", many, "--part", "1/3", "--steps", "3")...); code != exitFolder {
		t.Errorf("a part by another number of steps: %d, %v", code, err)
	}
	good("grid        "+many+"-grid.png", "--out", many, "--part", "2/3")
	for _, ending := range []string{"", "-grid.png"} {
		a, err1 := os.ReadFile(one + ending)
		b, err2 := os.ReadFile(many + ending)
		if err1 != nil || err2 != nil || string(a) != string(b) {
			t.Errorf("%s%s is another file: %v, %v", many, ending, err1, err2)
		}
	}
	if _, err := os.Stat(many + ".parts"); err == nil {
		t.Error("the parts are still there")
	}
	good("3 were there", "--out", many, "--part", "1/3")
	good("7 images in "+many+": all there", "--out", many, "--verify")
	good("2 images in "+many+": all there", "--out", many, "--verify", "--part", "2/3")
	bad := func(want string, args ...string) {
		t.Helper()
		if _, code, err := fluxion(t, with(sample, args...)...); code != exitInput || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %d, %v; want %q", args, code, err, want)
		}
	}
	bad("is not there; the same command without --verify", "--out", filepath.Join(dir, "none.npz"), "--verify")
	file, err := os.ReadFile(many)
	if err != nil {
		t.Fatal(err)
	}
	again := data.Spread(7, 1, 0)                      // the one that is made again
	body := strings.Index(string(file), "NUMPY") + 127 // behind the header of the first array
	file[body+(again+1)%7*8*8*3*4+1]++
	if err := os.WriteFile(many, file, 0o666); err != nil {
		t.Fatal(err)
	}
	bad("is not whole; the same command without --verify makes it again", "--out", many, "--verify")
	good("1 of these files were there but not whole, and were made again", "--out", many)
	good("7 images in "+many+": all there", "--out", many, "--verify")
	shape, values, _, err := data.ReadNPZFloats(many, "images", 7*8*8*3)
	if err != nil {
		t.Fatal(err)
	}
	text, err := data.ReadNPZText(many, "fluxion")
	if err != nil {
		t.Fatal(err)
	}
	values[again*8*8*3]++
	var other bytes.Buffer
	if err := data.WriteNPZ(&other, data.Array{Name: "images", Shape: shape, Floats: values}, data.Array{Name: "fluxion", Text: text}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(many, other.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	bad("of 1 pictures that were made again are not what is made here", "--out", many, "--verify")
}

// TestArrayGrows: a file of floats of some of the samples gets the others beside them, by parts, too, with the
// bytes of one that is made at once; what was cut or changed is made again, and what cannot be known is refused.
func TestArrayGrows(t *testing.T) {
	t.Chdir(t.TempDir())
	run := trainedRun(t)
	sample := []string{"sample", "--model", run, "--steps", "2", "--threads", "1"}
	good := func(want string, args ...string) {
		t.Helper()
		if text, code, err := fluxion(t, with(sample, args...)...); err != nil || !strings.Contains(text, want) {
			t.Fatalf("%v: %d, %v, %s; want %q", args, code, err, text, want)
		}
	}
	bad := func(code int, want string, args ...string) {
		t.Helper()
		if _, is, err := fluxion(t, with(sample, args...)...); err == nil || is != code || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %d, %v; want %d, %q", args, is, err, code, want)
		}
	}
	good("7 made", "--count", "7", "--out", "whole.npz")
	good("2 made", "--seeds", "5,2", "--out", "grows.npz")
	bad(exitInput, "has the samples of seeds 2,5, of 0-6 that are asked for", "--count", "7", "--out", "grows.npz", "--verify")
	bad(exitFolder, "seed was 5,2, now 0-4", "--count", "5", "--out", "grows.npz")
	good("7 images in grows.npz: 5 made in", "--count", "7", "--out", "grows.npz")
	sameFile(t, "grown", "grows.npz", "whole.npz")
	good("0 made", "--count", "7", "--out", "grows.npz")

	good("3 made", "--count", "3", "--out", "parts.npz")
	good("part 1/2, 4 images in parts.npz: 2 made", "--count", "7", "--out", "parts.npz", "--part", "1/2")
	good("part 2/2, 3 images in parts.npz: 2 made", "--count", "7", "--out", "parts.npz", "--part", "2/2")
	sameFile(t, "grown by parts", "parts.npz", "whole.npz")

	file, err := os.ReadFile("whole.npz")
	if err != nil {
		t.Fatal(err)
	}
	lie := func(path string, content []byte) {
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{0, 10, 60, 100, 500, len(file) / 2, len(file) - 1} {
		lie("cut.npz", file[:n])
		bad(exitInput, "is not whole; the same command without --verify makes it again", "--count", "7", "--out", "cut.npz", "--verify")
		good("1 of these files were there but not whole, and were made again", "--count", "7", "--out", "cut.npz")
		sameFile(t, "cut", "cut.npz", "whole.npz")
	}
	lie("cut.npz", file[:len(file)-1]) // of more samples: whose it is, nobody knows
	bad(exitInput, "give another --out, or --overwrite", "--count", "3", "--out", "cut.npz")

	if err := os.Mkdir("drawn.npz-grid.png", 0o777); err != nil {
		t.Fatal(err)
	}
	bad(exitFailure, "drawn.npz-grid.png", "--count", "7", "--out", "drawn.npz")
	sameFile(t, "whose picture cannot be written", "drawn.npz", "whole.npz")

	good("4 made", "--count", "4", "--out", "changed.npz")
	changed, err := os.ReadFile("changed.npz")
	if err != nil {
		t.Fatal(err)
	}
	changed[strings.Index(string(changed), "NUMPY")+200]++
	lie("changed.npz", changed)
	good("7 images in changed.npz: 7 made", "--count", "7", "--out", "changed.npz")
	sameFile(t, "changed", "changed.npz", "whole.npz")

	// Pixels and tars.
	for _, out := range [][]string{{"--out", "pixels.npz", "--uint8"}, {"--out", "pictures.tar"}} {
		args := append([]string{"--count", "3"}, out...)
		good("3 made", args...)
		whole, err := os.ReadFile(out[1])
		if err != nil {
			t.Fatal(err)
		}
		lie("whole", whole)
		for _, n := range []int{0, 100, len(whole) / 2} {
			lie(out[1], whole[:n])
			good("1 of these files were there but not whole, and were made again", args...)
			sameFile(t, "cut", out[1], "whole")
		}
	}

	// What others wrote, and images of another shape.
	for name, content := range map[string][]byte{"others": []byte("a letter to somebody"), "size": []byte(strings.Replace(string(file[:400]), "8, 8, 3", "9, 9, 3", 1)), "cifar": []byte(strings.Replace(string(file[:400]), "images", "cifars", 2))} {
		for _, args := range [][]string{{}, {"--uint8"}} {
			lie(name+".npz", content)
			args = with([]string{"--count", "7", "--out", name + ".npz"}, args...)
			bad(exitInput, name+".npz: is not a whole .npz, which is a zip of .npy files, and does not begin as this command would write it; give another --out, or --overwrite to make it anew", args...)
			good("7 made", with(args, "--overwrite")...)
		}
	}
}

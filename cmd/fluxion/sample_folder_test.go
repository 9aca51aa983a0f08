package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data/datatest"
	"fluxion/data/durable"
	"fluxion/data/durable/durabletest"
	"fluxion/engine/model"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// trainedRun is the folder of a run of a second.
func trainedRun(t *testing.T, flags ...string) string {
	t.Helper()
	run := filepath.Join(t.TempDir(), "run")
	args := append([]string{"train", "--preset", "micro", "--size", "8", "--batch", "4", "--images", "40", "--sample-count", "0", "--json", "--out", run}, flags...)
	if _, code, err := fluxion(t, args...); err != nil {
		t.Fatal(code, err)
	}
	return run
}

// contents of the files below a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		file, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(file)
	}
	return files
}

func same(a, b map[string]string) bool {
	for name, text := range a {
		if b[name] != text {
			return false
		}
	}
	return len(a) == len(b)
}

// Pictures of other settings are refused, all that differs is named, and nothing
// is touched; --overwrite makes exactly them anew.
func TestSamplesOfOtherSettings(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	run, other := trainedRun(t), trainedRun(t, "--seed", "2")
	picture := filepath.Join(t.TempDir(), "init.png")
	datatest.WritePNG(t, picture, make([]byte, 8*8*3), 8, 8, 3, nil)
	out := filepath.Join(t.TempDir(), "out")
	base := []string{"sample", "--out", out, "--count", "3", "--steps", "2", "--precision", "fp32"}
	if _, code, err := fluxion(t, append(base, "--model", run)...); err != nil {
		t.Fatal(code, err)
	}
	before := contents(t, out)
	for _, c := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--model", other}, "model was run 40 (digest "},
		{[]string{"--model", run, "--weights", "raw"}, "weights was ema, now raw (3, such as 000000.png)"},
		{[]string{"--model", run, "--class", "2"}, "2 of the 3 pictures there were made with other settings: class was 0, now 2 (2, such as 000000.png)"},
		{[]string{"--model", run, "--seed", "9"}, "key was 0, now 9"},
		{[]string{"--model", run, "--steps", "3"}, "steps was 2, now 3"},
		{[]string{"--model", run, "--sampler", "heun"}, "sampler was euler, now heun"},
		{[]string{"--model", run, "--sampler", "ddim", "--eta", "0"}, "eta was not given, now 0"},
		{[]string{"--model", run, "--grid", "karras"}, "grid was uniform, now karras"},
		{[]string{"--model", run, "--schedule", "cosine"}, "schedule was fm, now cosine"},
		{[]string{"--model", run, "--shift", "2"}, "shift was not given, now 2"},
		{[]string{"--model", run, "--guidance", "3", "--guidance-interval", "0.3,5"}, "guidance was 1, now 3 (3, such as 000000.png); guidance-interval was not given, now 0.3,5"},
		{[]string{"--model", run, "--guidance", "3", "--guide", other}, "guide was not given, now "},
		{[]string{"--model", run, "--clip"}, "clip was false, now true"},
		{[]string{"--model", run, "--init", picture, "--strength", "0.5"}, "init was not given, now "},
		{[]string{"--model", run, "--precision", "bf16"}, "precision was fp32, now bf16"},
	} {
		_, code, err := fluxion(t, append(base, c.flags...)...)
		if code != exitFolder || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "--overwrite") {
			t.Errorf("%v: exit code %d, %v; want %q", c.flags, code, err, c.want)
		}
		if !same(contents(t, out), before) {
			t.Fatalf("%v: refused, and changed files", c.flags)
		}
	}
	again := append(base, "--model", run, "--class", "2", "--overwrite", "--json")
	for _, written := range []float64{2, 0} { // that of class 2 was right before
		text, code, err := fluxion(t, again...)
		if err != nil {
			t.Fatal(code, err)
		}
		es := events(t, text)
		if last := es[len(es)-1]; last["written"] != written || last["overwritten"] != written {
			t.Errorf("--overwrite: %v, want %v written", last, written)
		}
	}
}

// Files of others are refused by name; those that are not whole are made again.
func TestSamplesBesideOthers(t *testing.T) {
	run := trainedRun(t)
	out := filepath.Join(t.TempDir(), "out")
	sample := []string{"sample", "--model", run, "--out", out, "--count", "4", "--steps", "2"}
	if _, code, err := fluxion(t, sample...); err != nil {
		t.Fatal(code, err)
	}
	whole := contents(t, out)
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	put("000000.png", "")
	put("000001.png", whole["000001.png"][:60])
	put("000002.png", strings.Repeat("\x00", len(whole["000002.png"])))
	put(durable.Temporary+"7", "half a picture")
	text, code, err := fluxion(t, sample...)
	if err != nil || !strings.Contains(text, "3 made") || !strings.Contains(text, "3 of these files were there but not whole") {
		t.Errorf("%q, %d, %v", text, code, err)
	}
	if !same(contents(t, out), whole) {
		t.Errorf("%v are not what was there before", slices.Sorted(maps.Keys(contents(t, out))))
	}
	foreign := filepath.Join(out, "000003.png")
	datatest.WritePNG(t, foreign, make([]byte, 8*8*3), 8, 8, 3, map[string]string{"Software": "another"})
	put("000001.png", "a note")
	_, code, err = fluxion(t, sample...)
	if code != exitFolder || !strings.Contains(err.Error(), "000001.png, 000003.png were not made by sample") {
		t.Errorf("exit code %d, %v", code, err)
	}
}

// Wherever power is lost and whatever is lost with it, no picture is there that is
// not whole, and the same command makes what an undisturbed run makes.
func TestSamplingSurvivesPowerLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	run := trainedRun(t)
	sample := func(disk durable.Disk, out string) error {
		c := newSampleOn(disk)
		c.SetOut(&bytes.Buffer{})
		c.SetArgs([]string{"--model", run, "--out", out, "--count", "5", "--batch", "2", "--steps", "2"})
		return c.ExecuteContext(context.Background())
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	power := durabletest.NewPower(t)
	event := 0
	var cuts []string
	power.Each = func() {
		if event++; event%3 == 0 {
			for _, loss := range durabletest.Losses {
				cut := filepath.Join(dir, fmt.Sprint("cut-", event, "-", loss))
				power.Lose(out, cut, loss)
				cuts = append(cuts, cut)
			}
		}
	}
	if err := sample(power.Disk(), out); err != nil { // pictures are written side by side
		t.Fatal(err)
	}
	power.Lose(out, filepath.Join(dir, "end"), durabletest.Names)
	whole := contents(t, out)
	if left := contents(t, filepath.Join(dir, "end")); !same(left, whole) || len(whole) != 5 {
		t.Errorf("of %d pictures that were announced %d survive", len(whole), len(left))
	}
	if len(cuts) < 9 {
		t.Fatalf("power was lost in %d ways only", len(cuts))
	}
	for _, cut := range cuts {
		for name, file := range contents(t, cut) {
			if !strings.HasPrefix(name, durable.Temporary) && file != whole[name] {
				t.Errorf("%s: %s has %d of %d bytes", filepath.Base(cut), name, len(file), len(whole[name]))
			}
		}
		if err := sample(durable.Disk{}, cut); err != nil || !same(contents(t, cut), whole) {
			t.Errorf("%s: going on gives %d files, %v", filepath.Base(cut), len(contents(t, cut)), err)
		}
	}
	// A disk that fails is told, and what it kept is whole.
	for n := range 8 {
		cut := filepath.Join(dir, fmt.Sprint("failing-", n))
		if err := sample(durabletest.Failing(n), cut); err == nil || exitCode(err) != exitFailure {
			t.Errorf("sync %d failed: %v", n, err)
		}
		if err := sample(durable.Disk{}, cut); err != nil || !same(contents(t, cut), whole) {
			t.Errorf("after sync %d failed: %v", n, err)
		}
	}
}

// Weights and settings that give no picture are named, and nothing is written.
func TestNoPicturesOfNoNumbers(t *testing.T) {
	run := trainedRun(t)
	out := filepath.Join(t.TempDir(), "out")
	refused := func(want string, flags ...string) {
		t.Helper()
		_, code, err := fluxion(t, append([]string{"sample", "--model", run, "--out", out, "--count", "2", "--steps", "4"}, flags...)...)
		if code != exitDiverged || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: exit code %d, %v; want %q", flags, code, err, want)
		}
		if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: something was written: %v", flags, err)
		}
	}
	refused("--guidance 1e+308", "--guidance", "1e308")
	refused("--guidance 1e+308", "--guidance", "1e308", "--clip")
	refused("--noise-scale 1e+308", "--sampler", "edm-churn", "--churn", "10", "--noise-scale", "1e308")

	root, err := model.Newest(run)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, model.EMADir)
	config, weights, err := catalog.ReadModel(folder)
	if err != nil {
		t.Fatal(err)
	}
	p := nets.Params(config)[2]
	weights[p.Offset] = float32(math.NaN())
	if err := nets.WriteModel(folder, config, nets.Params(config), weights); err != nil {
		t.Fatal(err)
	}
	refused(fmt.Sprintf("tensor %q", p.Name))
	if _, code, err := fluxion(t, "sample", "--model", run, "--out", out, "--count", "1", "--weights", "raw"); err != nil {
		t.Errorf("the raw weights are sound: %d, %v", code, err)
	}
}

// What a model was not trained for is refused before anything is made.
func TestSampleRefuses(t *testing.T) {
	labelled, labels := trainedRun(t), trainedRun(t, "--label-drop", "0")
	begun := t.TempDir()
	if err := os.WriteFile(filepath.Join(begun, "config.json"), []byte(`{"preset": "tiny", "images": 900, "accumulate": 1, "checkpoint_every": 500}`), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--model", labels, "--count", "1", "--guidance", "2"}, exitUsage, "label_drop"},
		{[]string{"--model", labels, "--count", "1", "--class", "none"}, exitUsage, "label_drop"},
		{[]string{"--model", labelled, "--guide", labels, "--count", "1", "--guidance", "2", "--class", "none"}, exitUsage, "label_drop"},
		{[]string{"--model", begun, "--count", "1"}, exitInput, "no checkpoint yet; the first is saved after 500 images"},
		{[]string{"--model", labelled, "--seeds", "0-9223372036854775807"}, exitUsage, "--seeds 0-9223372036854775807: want at most 10000000 images"},
		{[]string{"--model", labelled, "--seeds", "1-9000000,9000001-18000000"}, exitUsage, "want at most 10000000 images"},
		{[]string{"--model", labelled, "--seeds", "9223372036854775808"}, exitUsage, "is no number"},
		{[]string{"--model", labelled, "--count", "3000000000"}, exitUsage, "--count: 3000000000 is out of range"},
	} {
		_, code, err := fluxion(t, append([]string{"sample", "--out", out, "--steps", "2"}, c.args...)...)
		if code != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: exit code %d, %v; want %d, %q", c.args, code, err, c.code, c.want)
		}
	}
	for _, args := range [][]string{
		{"--model", labels, "--guidance", "2", "--guide", labelled, "--seeds", "9223372036854775807"},
		{"--model", labelled, "--guidance", "2", "--class", "none", "--count", "1"},
	} {
		if _, code, err := fluxion(t, append([]string{"sample", "--out", out, "--steps", "2"}, args...)...); err != nil {
			t.Errorf("%v: %d, %v", args, code, err)
		}
	}
}

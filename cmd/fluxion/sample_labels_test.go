package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
)

// TestSampleLabels: a model that is told numbers makes pictures of those that are asked for, of
// a file's, or of its data's; what cannot be told is refused.
func TestSampleLabels(t *testing.T) {
	dir := t.TempDir()
	pictures := pictureFolder(t, filepath.Join(dir, "set"), 8, 3, 6, 0, "")
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"l.csv": "file_name,age\np0,20\np1,30\np2,40\np3,\np4,60\np5,25\n", "two.json": "[[1, 2], [3, 4]]", "bad.csv": "age\nold\n"} {
		if err := os.WriteFile(at(name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	train := []string{"train", "--data", pictures, "--size", "8", "--preset", "micro", "--batch", "4", "--sample-count", "0", "--device", "cpu"}
	for run, more := range map[string][]string{"run": {"--images", "8", "--labels", "numbers:" + at("l.csv")}, "told": {"--images", "4", "--label-drop", "0", "--labels", "numbers:" + at("l.csv")}, "none": {"--images", "4"}} {
		if out, code, err := fluxion(t, append(with(train, more...), "--out", at(run))...); code != 0 {
			t.Fatal(out, err)
		}
	}
	sample := func(run, out string, more ...string) (string, int, error) {
		return fluxion(t, append([]string{"sample", "--model", at(run), "--out", at(out), "--steps", "1", "--device", "cpu"}, more...)...)
	}
	labels := func(out string) string {
		all := ""
		files, _ := filepath.Glob(filepath.Join(at(out), "*.png"))
		for _, file := range files {
			text, err := data.ReadText(file)
			if err != nil {
				t.Fatal(err)
			}
			all += text["label"] + " "
		}
		return strings.TrimSpace(all)
	}
	for i, c := range []struct {
		more []string
		want string
	}{
		{[]string{"--count", "2", "--label", "33.5"}, "33.5 33.5"},
		{[]string{"--count", "2", "--label", "none"}, "none none"},
		{[]string{"--count", "2", "--label", "99", "--guidance", "2"}, "99 99"},
		{[]string{"--label", at("l.csv")}, "20 30 40 none 60 25"},
		{[]string{"--seeds", "4-5", "--label", at("l.csv")}, "60 25"},
		{[]string{"--count", "6"}, "20 30 40 60 25 20"},
	} {
		out := fmt.Sprint("out", i)
		if text, code, err := sample("run", out, c.more...); code != 0 || labels(out) != c.want {
			t.Errorf("%v: labels %q, want %q (%s %v)", c.more, labels(out), c.want, text, err)
		}
	}
	if _, code, err := sample("run", "out0", "--count", "2", "--label", "34"); code != 4 || !strings.Contains(fmt.Sprint(err), "label") {
		t.Errorf("pictures of another label: exit %d, %v", code, err)
	}
	for _, c := range []struct {
		run  string
		more []string
		want string
	}{
		{"run", []string{"--count", "1", "--label", "1,2"}, "2 numbers, where the model is told 1: age 20 to 60"},
		{"run", []string{"--count", "1", "--label", "young"}, "no number"},
		{"run", []string{"--count", "1", "--class", "3"}, "want --label"},
		{"run", []string{"--count", "1", "--label", at("two.json")}, "has 2 numbers of each image"},
		{"run", []string{"--count", "1", "--label", at("bad.csv")}, "numbers"},
		{"run", []string{"--count", "9", "--label", at("l.csv")}, "image 8 is to be made"},
		{"told", []string{"--count", "1", "--label", "none"}, "--label-drop 0.1"},
		{"told", []string{"--count", "1", "--guidance", "2"}, "label_drop 0"},
		{"none", []string{"--count", "1", "--label", "1"}, "told no numbers"},
	} {
		if out, code, err := sample(c.run, "refused", c.more...); code == 0 || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s %v: exit %d, %v, want %q (%s)", c.run, c.more, code, err, c.want, out)
		}
	}
	for run, folders := range map[string]string{"run": "unet unet_labels", "told": "unet"} {
		if out, code, err := fluxion(t, "convert", at(run), at(run+"-converted")); code != 0 {
			t.Fatal(out, err)
		}
		found, _ := filepath.Glob(filepath.Join(at(run+"-converted"), "unet*"))
		for i := range found {
			found[i] = filepath.Base(found[i])
		}
		if got := strings.Join(found, " "); got != folders {
			t.Errorf("%s became %s, want %s", run, got, folders)
		}
		if text, code, err := sample(run+"-converted", run+"-again", "--count", "1", "--label", "33.5"); code != 0 {
			t.Error(text, err)
		}
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
)

// TestLabelsTaught: what a model is told of an image, where that is numbers, it teaches: its
// students, and those of pairs that it made, are told the same over the same ranges.
func TestLabelsTaught(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	pictures := pictureFolder(t, at("set"), 8, 3, 6, 0, "")
	for name, text := range map[string]string{
		"l.csv": "file_name,age,smile\np0,20,0\np1,30,1\np2,40,1\np3,,\np4,60,0\np5,25,1\n", "fewer.csv": "file_name,age,smile\np0,30,0\np1,40,1\n", "other.csv": "file_name,age\np0,30\np1,40\n",
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	run := func(out string, more ...string) (string, int, error) {
		return fluxion(t, append([]string{"train", "--size", "8", "--batch", "4", "--images", "8", "--sample-count", "0", "--device", "cpu", "--out", at(out)}, more...)...)
	}
	good := func(text string, code int, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(text, code, err)
		}
	}
	set := []string{"--data", pictures, "--labels", "numbers:" + at("l.csv")}
	fewer := []string{"--data", pictures, "--labels", "numbers:" + at("fewer.csv")}
	good(run("teacher", append(set, "--preset", "micro")...))
	good(run("points", append(set, "--preset", "mlp")...))
	good(run("student", append(fewer, "--teacher", at("teacher"), "--teacher-guidance", "2", "--objective", "progressive:from=4")...))
	good(run("mapped", append(fewer, "--init", at("points"), "--time-scale", "16", "--objective", "flowmap")...))
	good(fluxion(t, "pairs", "--model", at("teacher"), "--out", at("pairs"), "--count", "6", "--shard", "4", "--steps", "1", "--device", "cpu", "--label", at("l.csv")))
	good(run("kd", "--size", "0", "--data", "pairs:"+at("pairs"), "--init", at("teacher"), "--objective", "kd"))

	d, err := data.Open("pairs:"+at("pairs"), data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	of := data.NumbersOf(d)
	if of == nil || fmt.Sprint(of.Of(0), of.Of(3), of.Of(5), of.Names) != "[20 0] [] [25 1] [age smile]" {
		t.Errorf("pairs have %v", of)
	}
	for _, name := range []string{"student", "mapped", "kd"} {
		m, err := model.Read(at(name), model.EMA)
		if err != nil {
			t.Fatal(err)
		}
		if l := m.Labels; l == nil || !slices.Equal(l.From, []float32{20, 0}) || !slices.Equal(l.To, []float32{60, 1}) {
			t.Errorf("%s is told %v", name, l)
		}
		good(fluxion(t, "sample", "--model", at(name), "--out", at("of-"+name), "--count", "2", "--steps", "1", "--label", "30,1", "--device", "cpu"))
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"other labels": {[]string{"--data", pictures, "--labels", "numbers:" + at("other.csv"), "--teacher", at("teacher"), "--objective", "consistency"}, "give labels as the teacher had them"},
		"none":         {[]string{"--data", pictures, "--labels", "none", "--teacher", at("teacher"), "--objective", "consistency"}, "and the data have none"},
		"another network": {append(slices.Clone(set), "--preset", "mlp", "--teacher", at("teacher"), "--objective", "consistency"),
			"takes a vector of 128 numbers of an image, and the teacher one of 32"},
	} {
		if out, code, err := run("refused", c.args...); code != exitUsage || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: exit %d, %v, want %q (%s)", name, code, err, c.want, out)
		}
	}
	if out, code, err := fluxion(t, "pairs", "--model", at("teacher"), "--out", at("pairs"), "--count", "6", "--shard", "4", "--steps", "1", "--device", "cpu", "--label", "30,1"); code == 0 || !strings.Contains(fmt.Sprint(err), "label") {
		t.Errorf("pairs of other labels: exit %d, %v (%s)", code, err, out)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"fluxion/data/durable"
	"fluxion/engine/average"
	"fluxion/engine/model"
)

// averaged is a run of a second that keeps averages by powers of time.
func averaged(t *testing.T, more ...string) string {
	t.Helper()
	run := filepath.Join(t.TempDir(), "run")
	out, code, err := fluxion(t, with(with(tiny, "--images", "64", "--ema", "100,power", "--label-drop", "0", "--out", run), more...)...)
	if err != nil {
		t.Fatal(code, err)
	}
	if !strings.Contains(out, "\nsnapshots   of averages power:0.05, power:0.1 every 2 images: 32 files, ") {
		t.Errorf("the start does not tell of snapshots:\n%s", out)
	}
	return run
}

// TestConvert: a folder of any average is sampled as the run by the name of that average,
// and says what it is.
func TestConvert(t *testing.T) {
	run := averaged(t)
	dir := filepath.Dir(run)
	for i, c := range []struct {
		args    []string
		weights string
		made    bool
	}{
		{[]string{"--ema-sigma", "0.075"}, "ema:power:0.075", true},
		{[]string{"--ema-sigma", "0.2", "--at", "32"}, "ema:power:0.2@32", true},
		{[]string{"--ema-sigma", "0.10"}, "ema:power:0.1", false},
		{[]string{"--weights", "raw"}, "raw", false},
		{nil, "ema", false},
	} {
		out := filepath.Join(dir, string(rune('a'+i)), "model")
		text, code, err := fluxion(t, with(with([]string{"convert", run, out, "--json"}, c.args...), "--type", []string{"fp32", "fp16"}[i%2])...)
		if err != nil {
			t.Fatal(code, err)
		}
		var r converted
		if err := json.Unmarshal([]byte(text), &r); err != nil || r.Weights != c.weights || (r.Snapshots > 0) != c.made || (r.Residual > 0) != c.made || (len(r.Notes) > 0) != c.made {
			t.Errorf("%v: %s (%v)", c.args, text, err)
		}
		got, err := model.Read(out, model.EMA)
		if err != nil {
			t.Fatal(err)
		}
		want, err := model.Read(run, c.weights)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 && (got.Digest() != want.Digest() || !slices.Equal(got.Weights, want.Weights)) {
			t.Errorf("%s: other weights", c.weights)
		}
		if !got.Untrained || !got.Guided || len(got.Classes) != 10 {
			t.Errorf("%s: what sampling should know is lost", c.weights)
		}
		err = filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if bytes.Contains(text, []byte(dir)) {
				t.Errorf("%s names folders of this machine", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			continue
		}
		var pictures [2][]byte
		for k, from := range [][]string{{"--model", out}, {"--model", run, "--weights", c.weights}} {
			to := filepath.Join(dir, "pictures", string(rune('a'+k)))
			if _, code, err := fluxion(t, with([]string{"sample", "--out", to, "--count", "2", "--steps", "2"}, from...)...); err != nil {
				t.Fatal(code, err)
			}
			if pictures[k], err = os.ReadFile(to + "-grid.png"); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(pictures[0], pictures[1]) {
			t.Error("other pictures")
		}
	}
	// What is kept of a model of diffusers is its scheduler, to the byte.
	for _, name := range []string{"scheduler/scheduler_config.json", "unet/config.json", "training/classes.json", "training/data.json"} {
		newest, err := model.Newest(run)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(newest, name))
		got, failed := os.ReadFile(filepath.Join(dir, "a", "model", name))
		if err != nil || failed != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has other bytes (%v, %v)", name, err, failed)
		}
	}
}

// TestConvertRefuses: what cannot be done is told in one line, with the exit code that
// help says, and nothing is left.
func TestConvertRefuses(t *testing.T) {
	run := averaged(t)
	dir := filepath.Dir(run)
	plain := filepath.Join(dir, "plain")
	if _, code, err := fluxion(t, with(tiny, "--images", "8", "--out", plain)...); err != nil {
		t.Fatal(code, err)
	}
	other := filepath.Join(dir, "other")
	if _, code, err := fluxion(t, "train", "--data", "toy:moons", "--preset", "mlp", "--images", "8", "--batch", "4", "--sample-count", "0", "--out", other); err != nil {
		t.Fatal(code, err)
	}
	if err := os.Rename(filepath.Join(run, average.Dir), filepath.Join(other, average.Dir)); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	config := filepath.Join(t.TempDir(), "convert.yaml")
	if err := os.WriteFile(config, []byte("ema_sigma: 0.1\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{plain, out, "--ema-sigma", "0.1"}, exitInput, "holds no snapshots of averages"},
		{[]string{other, out, "--ema-sigma", "0.1"}, exitInput, "is of another network: its _class_name is UNet2DModel, want FluxionMLP"},
		{[]string{other, out, "--ema-sigma", "0.1", "--at", "3"}, exitInput, "holds no snapshot after 3 images"},
		{[]string{run, out, "--ema-sigma", "0.3"}, exitUsage, "--ema-sigma: 0.3 is out of range, want 0.01 to 0.28"},
		{[]string{run, out, "--ema-sigma", "0.1", "--weights", "raw"}, exitUsage, "give one of them"},
		{[]string{run, out, "--at", "8"}, exitUsage, "--at 8 is for --ema-sigma"},
		{[]string{run, out, "--config", config, "--weights", "raw", "--at", "8"}, exitUsage, "--at 8 is for --ema-sigma"},
		{[]string{run, out, "--weights", "ema:7"}, exitInput, "holds no weights ema:7; there are raw, ema, ema:power:0.05, ema:power:0.1"},
		{[]string{run, out, "--weights", "power:0.1"}, exitUsage, "want ema (averaged)"},
		{[]string{run, plain}, exitUsage, "is there already"},
		{[]string{run, filepath.Join(plain, "config.json", "x")}, exitUsage, "can be no folder"},
		{[]string{run, out + ".pt"}, exitUsage, "want a name without .pt"},
		{[]string{run, out, "--type", "int8"}, exitUsage, "int8"},
		{[]string{run}, exitUsage, "takes FROM and OUT"},
		{[]string{run, ""}, exitUsage, "one of them is empty"},
		{[]string{"", out}, exitUsage, "one of them is empty"},
		{[]string{filepath.Join(dir, "nowhere"), out}, exitInput, "no such folder"},
	} {
		_, code, err := fluxion(t, with([]string{"convert"}, c.args...)...)
		if err == nil || code != c.code || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: exit %d, %v; want %d, %s", c.args, code, err, c.code, c.want)
		}
		if _, err := os.Lstat(out); err == nil {
			t.Fatalf("%v left a folder", c.args)
		}
	}
	full := newConvertOn(durable.Disk{Sync: func(path string) error { return &fs.PathError{Op: "sync", Path: path, Err: syscall.ENOSPC} }})
	full.SilenceErrors, full.SilenceUsage = true, true
	full.SetArgs([]string{run, out})
	full.SetOut(&bytes.Buffer{})
	if err := full.Execute(); exitCode(err) != exitFailure || !strings.Contains(err.Error(), out) {
		t.Errorf("a full disk: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 3 {
		t.Errorf("left are %v (%v)", left, err)
	}
}

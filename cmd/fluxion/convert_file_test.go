package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
	"fluxion/engine/model"
)

// TestConvertedFiles: a model goes from a run through every form and is the same, as fp16
// but for rounding.
func TestConvertedFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if _, code, err := fluxion(t, with(tiny, "--images", "8", "--out", at("run"))...); err != nil {
		t.Fatal(code, err)
	}
	for _, step := range [][]string{
		{"run", "a.safetensors"}, {"a.safetensors", "b.npz"}, {"b.npz", "c"}, {"c", "d.safetensors", "--type", "bf16"}, {"run", "h.npz", "--type", "fp16"}, {"h.npz", "i.safetensors"},
		{"c", "e"},
	} {
		text, code, err := fluxion(t, with([]string{"convert", at(step[0]), at(step[1])}, step[2:]...)...)
		if err != nil || !strings.Contains(text, "\nnext        ") {
			t.Fatal(step, code, err, text)
		}
	}
	want, err := model.Read(at("run"), model.EMA)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.safetensors", "b.npz", "c", "d.safetensors", "e", "h.npz", "i.safetensors"} {
		m, err := model.Read(at(name), model.EMA)
		if err != nil {
			t.Fatal(name, err)
		}
		if exact := name != "d.safetensors" && name != "h.npz" && name != "i.safetensors"; exact && m.Digest() != want.Digest() {
			t.Errorf("%s is another model", name)
		}
		off := 0.0
		for i, x := range m.Weights {
			off = max(off, float64(x-want.Weights[i]), float64(want.Weights[i]-x))
		}
		if !(off <= 0.02) || len(m.Classes) != 10 || !m.Guided || m.Process.String() != want.Process.String() {
			t.Errorf("%s: weights off by %g, classes %v", name, off, m.Classes)
		}
	}
	if shape, values, _, err := data.ReadNPZFloats(at("h.npz"), "conv_in.weight", 1<<20); err != nil || len(values) != 8*3*3*3 || len(shape) != 4 {
		t.Errorf("the array has shape %v (%v)", shape, err)
	}
	// A file is trained on from, and sampled.
	if text, code, err := fluxion(t, with(tiny, "--images", "4", "--preset", at("a.safetensors"), "--init", at("a.safetensors"), "--out", at("tuned"))...); err != nil || !strings.Contains(text, "the weights are those of "+at("a.safetensors")) {
		t.Error(code, err, text)
	}
	if _, code, err := fluxion(t, "sample", "--model", at("d.safetensors"), "--out", at("pictures"), "--count", "1", "--steps", "2"); err != nil {
		t.Error(code, err)
	}
	// Whatever takes a model takes it as a file.
	for _, name := range []string{"a.safetensors", "b.npz"} {
		for _, c := range []struct {
			args []string
			want string
		}{
			{[]string{"sample", "--model", at(name), "--out", at(name + "-pictures"), "--count", "1", "--steps", "1", "--guidance", "1"}, ""},
			{[]string{"sample", "--model", at("c"), "--guide", at(name), "--out", at(name + "-guided"), "--count", "1", "--steps", "1", "--guidance", "1.5"}, ""},
			{[]string{"eval", at(name), "glyphs", "--count", "8", "--steps", "1", "--metrics", "fd", "--real-count", "8", "--guidance", "1"}, "fd"},
			{[]string{"eval", "glyphs", at(name), "--real-count", "8", "--steps", "1", "--metrics", "fd", "--count", "8", "--guidance", "1"}, "fd"},
			{[]string{"inspect", at(name)}, "conv_in.weight"},
			{[]string{"inspect", "--model", at(name), "--batch", "2"}, "FLOP"},
			{with(tiny, "--images", "4", "--init", at(name), "--out", at(name+"-tuned")), "the weights are those of " + at(name)},
			{with(tiny, "--images", "4", "--preset", at(name), "--out", at(name+"-anew")), "the network is that of " + at(name)},
			{with(tiny, "--images", "4", "--teacher", at(name), "--objective", "progressive:from=2", "--out", at(name+"-student")), "teacher     " + at(name)},
		} {
			if text, code, err := fluxion(t, c.args...); err != nil || !strings.Contains(text, c.want) {
				t.Error(c.args, code, err, text)
			}
		}
	}
	if err := data.WriteNPZ(file(t, at("other.npz")), data.Array{Name: "conv_in.weight", Shape: []int{1}, Floats: []float32{1}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("cut.npz"), []byte("PK"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"a.safetensors", "x", "--weights", "raw"}, exitInput, "one set of weights"},
		{[]string{"b.npz", "x", "--weights", "raw"}, exitInput, "one set of weights"},
		{[]string{"run", "x.npz", "--type", "bf16"}, exitUsage, "NumPy has no such numbers"},
		{[]string{"cut.npz", "x"}, exitInput, "cut.npz"},
		{[]string{"other.npz", "x"}, exitInput, "holds no array config.json, as convert writes it"},
		{[]string{filepath.Join("c", "unet_labels", "labels.safetensors"), "x"}, exitInput, "want the folder of the pipeline around it"},
		{[]string{"../../../nets/feature/glyph.safetensors", "x"}, exitInput, "no such folder"},
	} {
		_, code, err := fluxion(t, with([]string{"convert", at(c.args[0]), at(c.args[1])}, c.args[2:]...)...)
		if err == nil || code != c.code || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: exit %d, %v; want %d, %s", c.args, code, err, c.code, c.want)
		}
	}
}

func file(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestInspectFiles: what a file of weights holds is listed.
func TestInspectFiles(t *testing.T) {
	text, code, err := fluxion(t, "inspect", "../../nets/pickle/testdata/state.pth")
	if err != nil || !strings.Contains(text, "10 tensors, 87 numbers") || !strings.Contains(text, "model.conv.weight  F32     2×3×1×3                3.63") {
		t.Error(code, err, text)
	}
	text, code, err = fluxion(t, "inspect", "../../nets/unet/testdata/diffusers/flow", "--json")
	var files []inspectedFile
	if err != nil || json.Unmarshal([]byte(text), &files) != nil || len(files) != 2 {
		t.Fatal(code, err, text)
	}
	if f := files[0]; f.Metadata["format"] != "pt" || len(f.Tensors) == 0 || f.NotFinite != 0 || f.Tensors[0].Name != "conv_in.bias" || !(f.Tensors[0].Norm > 0) {
		t.Errorf("%+v", f)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"nowhere"}, exitInput, "no such file or folder"},
		{[]string{t.TempDir()}, exitInput, "holds no file of weights"},
		{[]string{"a", "b"}, exitUsage, "takes one file or folder"},
		{[]string{""}, exitUsage, "it is empty"},
		{[]string{"a", "--batch", "3"}, exitUsage, "--batch is for the steps of a network"},
		{[]string{"inspect_file.go"}, exitInput, "inspect_file.go"},
	} {
		_, code, err := fluxion(t, with([]string{"inspect"}, c.args...)...)
		if err == nil || code != c.code || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: exit %d, %v; want %d, %s", c.args, code, err, c.code, c.want)
		}
	}
}

// TestNoScheduler: a network whose folder has none is taken for DDPM's, and that is told.
func TestNoScheduler(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	text, code, err := fluxion(t, "sample", "--model", "../../nets/unet/testdata/diffusers/flow", "--out", out, "--count", "1", "--steps", "2", "--class", "none")
	if err != nil || !strings.Contains(text, "taken for DDPM's") {
		t.Error(code, err, text)
	}
}

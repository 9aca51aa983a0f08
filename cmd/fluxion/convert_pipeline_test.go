package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/engine/model"
	"fluxion/nets"
	"fluxion/nets/catalog"
)

// index reads the model_index.json of a folder.
func index(t *testing.T, dir string) (values map[string]any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "model_index.json"))
	if err == nil {
		err = json.Unmarshal(text, &values)
	}
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// TestConvertedPipelines: diffusers calls a folder by the class that its index names, and
// by our code where none of its classes does; scripts/check_pipelines.py asks diffusers.
func TestConvertedPipelines(t *testing.T) {
	for name, c := range map[string]struct {
		flags  []string
		class  any
		labels bool
		call   string // that does as many steps as such a scheduler wants
	}{
		"classes":          {nil, "DDPMPipeline", true, "(num_inference_steps=50)"},
		"noise in steps":   {[]string{"--schedule", "ddpm-linear", "--output-kind", "eps"}, "DDPMPipeline", true, "()"},
		"no label dropped": {[]string{"--label-drop", "0"}, []any{"pipeline", "FluxionPipeline"}, false, "()"},
		"scaled noise":     {[]string{"--schedule", "ve", "--output-kind", "edm"}, "ConsistencyModelPipeline", true, "(num_inference_steps=50)"},
		"its own estimate": {[]string{"--self-conditioning", "0.5"}, []any{"pipeline", "FluxionPipeline"}, false, "()"},
		"no class at all":  {[]string{"--data", "toy:moons", "--preset", "mlp", "--size", "1"}, "DDPMPipeline", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run, out, again := filepath.Join(dir, "run"), filepath.Join(dir, "out"), filepath.Join(dir, "again")
			if _, code, err := fluxion(t, with(tiny, with([]string{"--images", "24", "--out", run, "--sample-count", "1"}, c.flags...)...)...); err != nil {
				t.Fatal(code, err)
			}
			for _, of := range [][2]string{{run, out}, {out, again}} {
				if text, code, err := fluxion(t, "convert", of[0], of[1]); err != nil || !strings.Contains(text, "\ndiffusers   ") {
					t.Fatal(code, err, text)
				}
			}
			want, got := c.class, index(t, out)["_class_name"]
			if list, ok := want.([]any); ok {
				if two, ok := got.([]any); !ok || len(two) != 2 || two[0] != list[0] || two[1] != list[1] {
					t.Errorf("the class is %v, want %v", got, want)
				}
			} else if got != want {
				t.Errorf("the class is %v, want %v", got, want)
			}
			_, code := want.([]any)
			_, err := os.Stat(filepath.Join(out, model.PipelineFile))
			if (err == nil) != (code || c.labels) {
				t.Errorf("%s: %v", model.PipelineFile, err)
			}
			n, err := catalog.ReadConfig(filepath.Join(out, "unet"))
			if err != nil || c.labels && n.Spec().Conditional() {
				t.Errorf("the network of diffusers' pipeline is told %+v (%v)", n.Spec(), err)
			}
			// What is read is the run's own network, and goes on to be.
			first, err := model.Read(run, model.EMA)
			if err != nil {
				t.Fatal(err)
			}
			for _, folder := range []string{out, again} {
				if m, err := model.Read(folder, model.EMA); err != nil || m.Digest() != first.Digest() {
					t.Errorf("%s is another model (%v)", folder, err)
				}
			}
			card, err := os.ReadFile(filepath.Join(again, model.CardFile))
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"\nlibrary_name: diffusers\n", "![samples](samples.png)", `"images": 24,`, "fluxion sample --model . "} {
				if !bytes.Contains(card, []byte(part)) {
					t.Errorf("the card lacks %s:\n%s", part, card)
				}
			}
			if c.call != "" && !bytes.Contains(card, []byte("\npipeline"+c.call+".images[0]")) {
				t.Errorf("the card does not call pipeline%s:\n%s", c.call, card)
			}
			if bytes.Contains(card, []byte("unet_labels")) != c.labels || bytes.Contains(card, []byte("trust_remote_code=True")) != (code || c.labels) || bytes.Contains(card, []byte(dir)) {
				t.Errorf("the card is of another pipeline, or tells where it was made:\n%s", card)
			}
			if c.labels { // what both networks have is stored once
				small, whole := sizeOf(t, filepath.Join(out, nets.LabelsDir)), sizeOf(t, filepath.Join(out, model.WeightsDir))
				if small*10 > whole {
					t.Errorf("the network that is told labels takes %d bytes, and the other %d", small, whole)
				}
			}
			grid, err := os.ReadFile(filepath.Join(again, model.GridFile))
			if shown, failed := os.ReadFile(filepath.Join(run, "samples", "000000024.png")); err != nil || failed != nil || !bytes.Equal(grid, shown) {
				t.Errorf("the grid is not the run's last (%v, %v)", err, failed)
			}
		})
	}
}

// sizeOf is the bytes of the files of a folder.
func sizeOf(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

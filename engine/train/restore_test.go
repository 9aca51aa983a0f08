package train

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/engine/model"
)

// damage changes a file of a checkpoint.
func damage(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(data), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// last puts a number at the end of a safetensors file, into its last tensor.
func last(x float64) func([]byte) []byte {
	return func(data []byte) []byte {
		binary.LittleEndian.PutUint32(data[len(data)-4:], math.Float32bits(float32(x)))
		return data
	}
}

func text(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }

// TestUnusableCheckpoint: a newest checkpoint of which anything is wrong is refused by
// the file and the fault; the run goes on from the newest sound one.
func TestUnusableCheckpoint(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	s := brief()
	s.TimeSampler, s.Weighting = "adaptive:bins=5", "sigmoid"
	o, _ := options(t, s, t.TempDir())
	train(t, o)
	whole, want := o.Dir, files(t, o.Dir)
	weights := "diffusion_pytorch_model.safetensors"
	for _, c := range []struct {
		file   string
		change func([]byte) []byte // nil: removed
		want   string
	}{
		{"training/state.json", text("{}"), "state.json: key images: want a number"},
		{"training/state.json", text(""), "state.json"},
		{"training/state.json", text("null"), "state.json: is null"},
		{"training/state.json", text(`{"images": 0, "steps": 0, "loss": 0}`), "state.json: key images: 0, want the 32"},
		{"training/state.json", text(`{"images": 32, "steps": 0, "loss": 0}`), "state.json: key steps"},
		{"training/state.json", text(`{"images": 32, "steps": 8, "loss": null}`), "state.json: key loss"},
		{"training/state.json", nil, "state.json"},
		{"training/times.json", text("{}"), "times.json"},
		{"training/" + dataFile, text("{"), dataFile},
		{"training/optimizer.safetensors", last(math.NaN()), "not finite"},
		{"training/optimizer.safetensors", last(-1), "below 0"},
		{"training/optimizer.safetensors", nil, "optimizer.safetensors"},
		{"unet/" + weights, last(math.Inf(1)), "must be finite"},
		{"unet_ema/" + weights, last(math.NaN()), "must be finite"},
		{"unet_ema/" + weights, func(data []byte) []byte { return data[:len(data)-4] }, "cut short"},
		{"unet/config.json", text("{}"), "unet"},
		{"unet", nil, "unet"},
	} {
		o.Dir = copied(t, whole)
		newest := filepath.Join(o.Dir, model.CheckpointsDir, "32")
		if path := filepath.Join(newest, filepath.FromSlash(c.file)); c.change == nil {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		} else {
			damage(t, path, c.change)
		}
		_, err := Run(t.Context(), o)
		var broken *CheckpointError
		if !errors.As(err, &broken) || broken.Path != newest || broken.Sound == nil || broken.Sound.Images != 24 ||
			!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "--from 24") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", c.file, err, c.want)
			continue
		}
		o.From = broken.Sound.Images
		train(t, o)
		o.From = 0
		same(t, files(t, o.Dir), want)
	}
	o.Dir = copied(t, whole)
	for _, name := range []string{"16", "24", "32"} {
		damage(t, filepath.Join(o.Dir, model.CheckpointsDir, name, "unet", weights), last(math.NaN()))
	}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no sound one") {
		t.Errorf("no checkpoint is sound: %v", err)
	}
	o.From = 10
	var setting *SettingError
	if _, err := Run(t.Context(), o); !errors.As(err, &setting) || !strings.Contains(err.Error(), "16, 24, 32") {
		t.Errorf("from a checkpoint that is not there: %v", err)
	}
}

// TestNotFiniteIsNotGood: weights that are not finite are never saved, nor called the
// last good checkpoint.
func TestNotFiniteIsNotGood(t *testing.T) {
	o, _ := options(t, brief(), t.TempDir())
	train(t, o)
	damage(t, filepath.Join(o.Dir, model.CheckpointsDir, "32", "unet_ema", "diffusion_pytorch_model.safetensors"), last(math.NaN()))
	o.Settings.Images = 64
	r, _, err := prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if want := filepath.Join(o.Dir, model.CheckpointsDir, "24"); r.lastGood() != want {
		t.Errorf("the last good checkpoint is %s, want %s", r.lastGood(), want)
	}
	for _, b := range r.trainer.Buffers.stored() {
		c, err := r.snapshot(State{Images: 40, Steps: 10})
		if err != nil {
			t.Fatal(err)
		}
		c.flat[b][b.Size/2] = float32(math.Inf(-1))
		_, err = r.checkpoint(c)
		var bad *NotFiniteError
		if !errors.As(err, &bad) || bad.Last == "" {
			t.Errorf("%v that is not finite: %v", b, err)
		}
	}
	if _, err := os.Stat(filepath.Join(o.Dir, model.CheckpointsDir, "40")); err == nil {
		t.Error("weights that are not finite were saved")
	}
}

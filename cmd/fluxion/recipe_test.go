package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/data"
	"fluxion/engine/device"
	"fluxion/engine/train"
)

// drySettings are what train would do, if there were the memory.
func drySettings(t *testing.T, args ...string) train.Settings {
	t.Helper()
	out, _, err := fluxion(t, append([]string{"train", "--dry-run", "--json"}, args...)...)
	if short := (*device.MemoryError)(nil); err != nil && !errors.As(err, &short) {
		t.Fatal(args, err)
	}
	out, _, _ = strings.Cut(out, "\n") // behind it is why the run would be refused
	return dryRun(t, out)
}

// TestRecipePrecedence: what is said by any source goes before the recipe of the
// preset, whichever source names that, and the recipe before the defaults.
func TestRecipePrecedence(t *testing.T) {
	t.Setenv(machine.BlockingsVariable, "")
	t.Chdir(t.TempDir())
	recipe, err := train.RecipeOf("cifar", "glyphs")
	if err != nil {
		t.Fatal(err)
	}
	want := recipe.Apply(train.Default())
	want.Preset = "cifar"
	if err := os.WriteFile("c.yaml", []byte("preset: cifar\nbatch: 11\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	pictures, eight := images(t, t.TempDir()), data.Size{Height: 8, Width: 8}
	for _, c := range []struct {
		args []string
		env  [2]string
		set  func(*train.Settings)
	}{
		{args: []string{"--preset", "cifar"}, set: func(*train.Settings) {}},
		{args: []string{"-s", "preset=cifar"}, set: func(*train.Settings) {}},
		{env: [2]string{"FLUXION_PRESET", "cifar"}, set: func(*train.Settings) {}},
		{args: []string{"--config", "c.yaml"}, set: func(s *train.Settings) { s.Batch = 11 }},
		{args: []string{"--preset", "cifar", "--lr", "0.0015"}, set: func(s *train.Settings) { s.LR = 0.0015 }},
		{args: []string{"--config", "c.yaml", "-s", "lr=0.5"}, env: [2]string{"FLUXION_BATCH", "12"}, set: func(s *train.Settings) { s.LR, s.Batch = 0.5, 12 }},
		{args: []string{"--preset", "cifar", "--data", pictures, "--size", "8", "--flip=false"}, set: func(s *train.Settings) { s.Data, s.Size = pictures, eight }},
		{args: []string{"--preset", "cifar", "--data", pictures, "--size", "8"}, set: func(s *train.Settings) { s.Data, s.Size, s.Flip = pictures, eight, true }},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			if c.env[0] != "" {
				t.Setenv(c.env[0], c.env[1])
			}
			want := want
			c.set(&want)
			if got := drySettings(t, c.args...); got != want {
				t.Errorf("%v", want.Changes(got))
			}
		})
	}
	out, _, err := fluxion(t, "train", "--help")
	if err != nil || !strings.Contains(out, "largest learning rate; a positive number (default the preset's)") || !strings.Contains(out, "of weights, order, noise and times (default 1)") || !strings.Contains(out, "\n  ddpm64 ") {
		t.Errorf("help: %v %s", err, out)
	}
}

// TestRecipeOfOldRun: a run goes on with what its config.json says, whatever the
// recipe became since, unless the user says otherwise; a finished one says so.
func TestRecipeOfOldRun(t *testing.T) {
	t.Setenv(machine.BlockingsVariable, "")
	t.Chdir(t.TempDir())
	args := []string{"train", "--preset", "micro", "--size", "8", "--sample-count", "0"}
	old := with(args, "--lr", "0.0007", "--batch", "4", "--images", "16", "--flip", "--ema", "123")
	out, _, err := fluxion(t, old...)
	if err != nil || !strings.Contains(out, "recipe      micro: lr ") || !strings.Contains(out, "overridden  flip true (false), images 16 (") {
		t.Fatal(out, err)
	}
	run := filepath.Join("runs", "glyphs-micro")
	if out, _, err := fluxion(t, args...); err != nil || !strings.Contains(out, "is finished: 16 images") {
		t.Errorf("the same without what was said: %s, %v", out, err)
	}
	before := drySettings(t, old[1:]...)
	if s := drySettings(t, args[1:]...); s != before || s.LR != 0.0007 || !s.Flip {
		t.Errorf("the old run would go on otherwise: %v", before.Changes(s))
	}
	out, _, err = fluxion(t, "train", "--out", run, "--images", "24", "--json")
	es := events(t, out)
	changes, _ := es[0]["changes"].([]any)
	settings, _ := es[0]["settings"].(map[string]any)
	if err != nil || len(changes) != 1 || settings["lr"] != 0.0007 || settings["preset"] != "micro" || settings["size"] != 8.0 || settings["ema"] != 123.0 {
		t.Errorf("the folder alone, and more images: %v, %v", es[0], err)
	}
	if es[0]["recipe"] != "micro" || es[0]["baseline"] == nil {
		t.Errorf("start event %v", es[0])
	}
	if apart, _ := es[0]["apart"].(map[string]any); apart["lr"] == nil || apart["clip"] != nil {
		t.Errorf("apart from the recipe: %v", es[0]["apart"])
	}
	if s := drySettings(t, with(args[1:], "--fresh")...); s.LR == 0.0007 || s.Flip {
		t.Errorf("--fresh takes the old run's settings: %+v", s)
	}
	if _, code, err := fluxion(t, with(args, "--out", run, "--flip=false")...); code != exitFolder {
		t.Errorf("flips said to be none: %d, %v", code, err)
	}
	if err := os.RemoveAll(filepath.Join(run, "checkpoints")); err != nil {
		t.Fatal(err)
	}
	if s := drySettings(t, args[1:]...); s.LR == 0.0007 {
		t.Errorf("a run without a checkpoint does not begin anew: %+v", s)
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/machine"
)

// TestTimesOfOne: EDM2's network is told times of about 1 whatever the output, unless it was
// begun otherwise, and what it cannot tell apart is refused.
func TestTimesOfOne(t *testing.T) {
	t.Setenv(machine.BlockingsVariable, "")
	t.Chdir(t.TempDir())
	song := func(embedding string) string {
		dir := t.TempDir()
		config := `{"_class_name": "FluxionSongUNet", "model_channels": 8, "channel_mult": [1], "num_blocks": 1, "attention_levels": [], "embedding_type": "` + embedding + `"}`
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o666); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, c := range []struct {
		args string
		want int
	}{
		{"--preset edm2-micro", 1}, {"--preset edm2-micro --output-kind v --schedule cosine", 1}, {"--preset edm2-micro --output-kind edm --schedule ve", 1000},
		{"--recipe edm2-img64-s", 1000}, {"--preset edm2-micro --time-scale 16", 16}, {"--preset edm2-micro --objective flowmap", 1},
		{"--preset " + song("fourier"), 1}, {"--preset " + song("positional"), 1000}, {"--preset micro", 1000},
	} {
		if got := drySettings(t, strings.Fields(c.args)...).TimeScale; got != c.want {
			t.Errorf("%s: a network is told %d at t = 1, want %d", c.args, got, c.want)
		}
	}
	for args, want := range map[string]string{
		"--preset edm2-micro --time-scale 1000":                               "time_scale: 1000 is more than the network of preset edm2-micro can tell apart",
		"--preset edm2-micro --schedule ddpm-linear --output-kind eps":        "schedule: ddpm-linear tells the network of preset edm2-micro the number of a step",
		"--preset " + song("fourier") + " --time-scale 17 --images 8":         "want 1 (at most 16)",
		"--preset edm2-micro --out R --time-scale 100 --output-kind u --lr 1": "time_scale: 100",
	} {
		_, code, err := fluxion(t, append([]string{"train", "--dry-run"}, strings.Fields(args)...)...)
		if code != exitUsage || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %d, %v", args, code, err)
		}
	}
	// A run of before goes on with what it was told.
	if _, code, err := fluxion(t, with(tiny, "--preset", "edm2-micro", "--images", "8", "--out", "R")...); err != nil {
		t.Fatal(code, err)
	}
	for _, path := range []string{"R/config.json", "R/checkpoints/8/training/settings.json"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before := strings.Replace(string(text), `"time_scale": 1,`, `"time_scale": 1000,`, 1)
		if before == string(text) {
			t.Fatalf("%s: %s", path, text)
		}
		if err := os.WriteFile(path, []byte(before), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if s := drySettings(t, "--out", "R"); s.Preset != "edm2-micro" || s.TimeScale != 1000 {
		t.Errorf("a run of before goes on with preset %s, time scale %d", s.Preset, s.TimeScale)
	}
}

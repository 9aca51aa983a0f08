package model

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWeightsOf: each name leads to its folder, or to one that is to be made.
func TestWeightsOf(t *testing.T) {
	root := filepath.Join(t.TempDir(), CheckpointsDir, "500")
	for _, sub := range []string{WeightsDir, EMADir, EMADirOf("20000"), EMADirOf("power:0.1")} {
		if err := os.MkdirAll(filepath.Join(root, sub), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, TrainingDir, SettingsFile), `{"ema": ["power:0.05", 20000, "power:0.1"]}`)
	for weights, want := range map[string]string{
		"raw": "", "ema": EMADir, "ema:20000": "unet_ema_20000", "ema:power:0.05": EMADir, "ema:power:0.050@500": EMADir,
		"ema:power:0.10": "unet_ema_power_0.1", "ema:power:0.1@500": "unet_ema_power_0.1",
		"ema:power:0.1@400": "made 0.1 400", "ema:power:0.08": "made 0.08 0",
	} {
		dir, c, err := weightsOf(root, weights)
		if strings.HasPrefix(want, "made") {
			dir = "made " + strings.TrimPrefix(fmt.Sprint(c.sigma, " ", c.images), " ")
		} else {
			want = filepath.Join(root, want)
		}
		if sigma, images, ok := PowerOf(weights); sigma != c.sigma || images != c.images || ok != strings.Contains(weights, "power") {
			t.Errorf("%s is of σ_rel %v after %d images, %v", weights, sigma, images, ok)
		}
		if err != nil || dir != want {
			t.Errorf("%s is %s, want %s (%v)", weights, dir, want, err)
		}
	}
	for weights, want := range map[string]string{
		"ema:7": "there are raw, ema, ema:20000, ema:power:0.1", "": "are not known", "emu": "are not known", "ema:": "is no half-life", "ema:1.5": "is no half-life",
		"ema:power:": "is no σ_rel", "ema:power:2": "out of range", "ema:power:0.1@": "no number of images", "ema:power:0.1@0": "no number of images", "ema:power:0.1@-5": "no number of images",
	} {
		if _, _, err := weightsOf(root, weights); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", weights, err, want)
		}
	}
	for text, want := range map[string]string{`{"ema": 2000}`: "2000", `{"ema": [0, 5]}`: "0", `{"ema": "power:0.1"}`: "power:0.1", `{}`: "", `{"ema": []}`: "", `[`: ""} {
		write(t, filepath.Join(root, TrainingDir, SettingsFile), text)
		if got := firstOf(root); got != want {
			t.Errorf("the first of %s is %q, want %q", text, got, want)
		}
	}
}

func TestRunOf(t *testing.T) {
	base := t.TempDir()
	checkpoint := filepath.Join(base, "run", CheckpointsDir, "500")
	if err := os.MkdirAll(checkpoint, 0o777); err != nil {
		t.Fatal(err)
	}
	if run, n := runOf(checkpoint + "/"); run != filepath.Join(base, "run") || n != 500 {
		t.Errorf("%s, %d", run, n)
	}
	for _, other := range []string{base, filepath.Join(base, "run"), filepath.Join(base, "500"), filepath.Join(base, CheckpointsDir, "best")} {
		if run, _ := runOf(other); run != "" {
			t.Errorf("%s is a checkpoint of %s", other, run)
		}
	}
	t.Chdir(checkpoint)
	if run, n := runOf("."); filepath.Base(run) != "run" || n != 500 {
		t.Errorf("from within: %s, %d", run, n)
	}
}

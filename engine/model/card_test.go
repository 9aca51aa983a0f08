package model

import (
	"strings"
	"testing"
)

// TestWithoutPaths: settings that go with a model name no folders of the machine, however they
// are written; all else stays as it is.
func TestWithoutPaths(t *testing.T) {
	given := `{
  "data": "paired:/home/ann/low,/home/ann/high \u0026 low/",
  "preset" :"/srv/nets/adm", "labels": "numbers:C:\\Users\\Ann\\age.csv",
  "init": "", "scale": "1/t", "lr": 3e-4, "objective": "reflow", "recipe": "say \"data\": \"/a/b\"",
  "teacher": "runs/one", "eval_real": "~/real.zip", "blockings": "auto"
}`
	want := `{
  "data": "paired:low,high \u0026 low",
  "preset" :"adm", "labels": "numbers:age.csv",
  "init": "", "scale": "1/t", "lr": 3e-4, "objective": "reflow", "recipe": "say \"data\": \"/a/b\"",
  "teacher": "one", "eval_real": "real.zip", "blockings": "auto"
}`
	got := string(withoutPaths([]byte(given)))
	if got != want {
		t.Errorf("they are %s\nwant %s", got, want)
	}
	if again := string(withoutPaths([]byte(got))); again != got {
		t.Errorf("once more they are %s", again)
	}
}

func TestFromRun(t *testing.T) {
	for path, want := range map[string]string{
		"/home/ann/runs/cats/checkpoints/17000/unet_ema": "cats/checkpoints/17000/unet_ema", "/home/ann/models/cats": "cats", "cats.safetensors": "cats.safetensors",
	} {
		if got := fromRun(path); strings.ReplaceAll(got, "\\", "/") != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

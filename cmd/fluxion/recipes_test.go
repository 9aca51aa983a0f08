package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/cmd/fluxion/internal/machine"
	"fluxion/engine/train"
)

// TestRecipes: each resolves without a run, flags go over it, and it trains two steps of a
// smaller network.
func TestRecipes(t *testing.T) {
	t.Setenv(machine.BlockingsVariable, "off")
	t.Chdir(t.TempDir())
	for _, r := range train.PublishedRecipes() {
		s := drySettings(t, "--recipe", r.Name, "--lr", "0.25")
		if s.LR != 0.25 || "preset="+s.Preset != r.Settings()[0] {
			t.Errorf("%s: rate %g, preset %s", r.Name, s.LR, s.Preset)
		}
		s.LR = drySettings(t, "--recipe", r.Name).LR
		if text := r.Text(s); strings.Contains(text, "overridden") {
			t.Errorf("resolved it is %s", text)
		}
		out, _, err := fluxion(t, "train", "--recipe", r.Name, "--size", "8", "--preset", "micro", "--batch", "4", "--images", "8", "--sample-count", "0", "--out", r.Name)
		if err != nil || !strings.Contains(out, "\nrecipe      "+r.Name+": preset=") || !strings.Contains(out, "overridden by preset micro, images 8") || !strings.Contains(out, "8 images, 2 steps") {
			t.Errorf("%s: %v %s", r.Name, err, out)
		}
		log, err := os.ReadFile(filepath.Join(r.Name, "log.txt"))
		if err != nil || strings.Count(out, "\nrecipe ") != 1 || !strings.Contains(string(log), "recipe "+r.Name) {
			t.Errorf("%s: the log and the start do not say it once: %s", r.Name, out)
		}
	}
	// Two recipes of one preset are not one run.
	for _, name := range []string{"ddpm-cifar10", "flow-cifar10"} {
		out, _, err := fluxion(t, "train", "--recipe", name, "--size", "8", "--preset", "micro", "--batch", "4", "--images", "8", "--sample-count", "0")
		if err != nil || !strings.Contains(out, filepath.Join("runs", "glyphs-"+name)) {
			t.Errorf("%v: %s", err, out)
		}
	}
	shown, _, err := fluxion(t, "config", "show", "--recipe", "edm-cifar10", "--batch", "64")
	for line, source := range map[string]string{"preset: ddpmpp": "recipe edm-cifar10", "batch: 64": "--batch", "dropout: 0.13": "recipe edm-cifar10"} {
		if i := strings.Index(shown, "\n"+line+" "); err != nil || i < 0 || !strings.HasPrefix(strings.TrimLeft(shown[i+1+len(line):], " "), "# "+source+"\n") {
			t.Errorf("%v: %s is not shown to be from %s: %s", err, line, source, shown)
		}
	}
	if _, code, err := fluxion(t, "config", "show", "--recipe", "edm"); code != exitUsage {
		t.Errorf("an unknown recipe: %d, %v", code, err)
	}
	if _, _, err := fluxion(t, "train", "--recipe", "edm", "--dry-run"); err == nil || exitCode(err) != 2 || !strings.Contains(err.Error(), "edm-cifar10") {
		t.Errorf("an unknown recipe: %v", err)
	}
	out, _, err := fluxion(t, "recipes", "--json")
	var list struct {
		Recipes []struct {
			Name, Paper, Result, Here string
			Settings, From            map[string]string
		}
	}
	if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list.Recipes) != len(train.PublishedRecipes()) || list.Recipes[0].Settings["lr"] != "2e-4" || list.Recipes[0].From["lr"] == "" || list.Recipes[0].Here == "" {
		t.Errorf("%v %s", err, out)
	}
	text, _, err := fluxion(t, "recipes")
	for _, r := range list.Recipes {
		if err != nil || !strings.Contains(text, r.Name) || !strings.Contains(text, r.Paper) {
			t.Errorf("%s is not listed: %v", r.Name, err)
		}
	}
}

// TestRecipeIsKept: a run keeps the name of its recipe, goes on with it whoever says it or
// not, and refuses another; a variable and a file say it as they say any other setting.
func TestRecipeIsKept(t *testing.T) {
	t.Setenv(machine.BlockingsVariable, "off")
	t.Chdir(t.TempDir())
	args := []string{"--size", "8", "--preset", "micro", "--batch", "4", "--sample-count", "0", "--out", "R"}
	t.Setenv("FLUXION_RECIPE", "ddpm-cifar10")
	if out, _, err := fluxion(t, append([]string{"train", "--images", "8"}, args...)...); err != nil || !strings.Contains(out, "\nrecipe      ddpm-cifar10: ") {
		t.Fatalf("by a variable: %v %s", err, out)
	}
	t.Setenv("FLUXION_RECIPE", "")
	if s := drySettings(t, "--out", "R"); s.Recipe != "ddpm-cifar10" || s.Schedule != "ddpm-linear" {
		t.Errorf("the run goes on as recipe %q, schedule %s", s.Recipe, s.Schedule)
	}
	if out, _, err := fluxion(t, "train", "--out", "R", "--images", "12"); err != nil || !strings.Contains(out, "\nrecipe      ddpm-cifar10: ") {
		t.Errorf("it does not go on with its own: %v %s", err, out)
	}
	_, code, err := fluxion(t, "train", "--recipe", "edm-cifar10", "--out", "R", "--images", "16")
	if code != exitFolder || err == nil || !strings.Contains(err.Error(), "recipe was ddpm-cifar10, now edm-cifar10") || strings.Contains(err.Error(), "\n") {
		t.Errorf("another recipe: %d, %v", code, err)
	}
	if err := os.WriteFile("c.yaml", []byte("recipe: flow-cifar10\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if s := drySettings(t, "--config", "c.yaml"); s.Recipe != "flow-cifar10" || s.Coupling != "ot" || s.TimeScale != 1 {
		t.Errorf("of a file: %+v", s)
	}
	if _, _, err := fluxion(t, "train", "-s", "recipe=flow", "--dry-run"); err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), "flow-cifar10") {
		t.Errorf("an unknown one: %v", err)
	}
}

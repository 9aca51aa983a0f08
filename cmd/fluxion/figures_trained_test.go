package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTrainedFigures: networks that see little are drawn, too.
func TestTrainedFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("trains nine networks")
	}
	dir := t.TempDir()
	args := []string{"figures", "--out", dir, "--images", "2", "--trained", "moons", "--trained-images", "2000"}
	if out, code, err := fluxion(t, args...); err != nil || !strings.Contains(out, "ways-moons.png") {
		t.Fatalf("%d, %v: %s", code, err, out)
	}
	table, err := os.ReadFile(filepath.Join(dir, "few-steps-moons.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range learners(2000) {
		if !strings.Contains(string(table), l.name+", 1 step") {
			t.Errorf("no samples of %s in one step", l.name)
		}
	}
	if _, code, err := fluxion(t, "figures", "--out", dir, "--trained", "moon"); code != exitInput || err == nil || !strings.Contains(err.Error(), "moons") {
		t.Errorf("points that there are not: %d, %v", code, err)
	}
}

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"fluxion/data"
)

// TestClip: a run's own grids are what sample makes of its weights without a flag.
// Both clip what a network of ε says, and neither does what one of u says.
func TestClip(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	dir := t.TempDir()
	grid := func(path string) []byte {
		t.Helper()
		pixels, _, _, _, err := data.ReadPNG(path)
		if err != nil {
			t.Fatal(err)
		}
		return pixels
	}
	for _, c := range []struct {
		name, note, none string // what is said, and under --clip=false
		clips            bool
		flags            []string
	}{
		{"eps", "clipped to the range of pixels", "--clip bounds it", true, []string{"--schedule", "cosine", "--output-kind", "eps"}},
		{"u", "", "", false, nil},
	} {
		run := filepath.Join(dir, c.name)
		if _, code, err := fluxion(t, append(with(quick, "train", "--images", "240", "--out", run, "--seed", "3"), c.flags...)...); err != nil {
			t.Fatal(code, err)
		}
		own := grid(filepath.Join(run, "samples", "000000240.png"))
		for flag, want := range map[string]struct {
			same bool
			note string
		}{"--clip=auto": {true, c.note}, "--clip": {c.clips, ""}, "--clip=false": {!c.clips, c.none}} {
			out := filepath.Join(dir, c.name+flag)
			text, code, err := fluxion(t, "sample", "--model", run, "--out", out, "--count", "10", "--steps", "2", "--seed", "3", flag)
			if err != nil {
				t.Fatal(code, err)
			}
			if same := bytes.Equal(grid(out+"-grid.png"), own); same != want.same {
				t.Errorf("%s %s: the same as the run's grid: %v, want %v", c.name, flag, same, want.same)
			}
			if !strings.Contains(text, want.note) || (want.note == "" && strings.Contains(text, "note")) {
				t.Errorf("%s %s: says %q, want %q", c.name, flag, text, want.note)
			}
		}
	}
	for _, args := range [][]string{{"--clip=no"}, {"--clip", "--dynamic-threshold", "0.99"}} {
		all := append([]string{"sample", "--model", filepath.Join(dir, "u"), "--out", filepath.Join(dir, "none"), "--count", "1"}, args...)
		if _, code, err := fluxion(t, all...); code != exitUsage || !strings.Contains(err.Error(), "--clip") {
			t.Errorf("%v: exit code %d, %v", args, code, err)
		}
	}
}

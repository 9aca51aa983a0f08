package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestGuided: a student that is told its guidance is sampled in one pass with what it was
// taught, given by its place; one that took a guidance over says so; inspect knows what
// either was trained on.
func TestGuided(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	points := []string{"train", "--data", "toy:moons", "--batch", "16", "--images", "64", "--sample-count", "0", "--threads", "1"}
	good := func(args ...string) string {
		t.Helper()
		out, code, err := fluxion(t, args...)
		if err != nil {
			t.Fatalf("%v: %d, %v", args, code, err)
		}
		return out
	}
	good(with(points, "--preset", "mlp", "--out", at("flow"))...)
	good(with(points, "--teacher", at("flow"), "--objective", "guidance", "--guidance-input", "2,4", "--out", at("told"))...)
	good(with(points, "--teacher", at("flow"), "--objective", "guidance", "--teacher-guidance", "3", "--out", at("taken"))...)
	for want, args := range map[string][]string{
		"told guidance 2,": {"sample", at("told")}, "told guidance 3,": {"sample", at("told"), "--guidance", "3"},
		"took over a guidance of 3 from its teacher: --guidance 2 comes": {"sample", "--model", at("taken"), "--guidance", "2"},
		"euler, 2 steps on grid uniform along fm, weights ema":           {"sample", at("taken")},
	} {
		if out := good(with(args, "--out", at(strings.Fields(want)[2]+".npz"), "--count", "2", "--steps", "2")...); !strings.Contains(out, want) {
			t.Errorf("%v: %q lacks %q", args, out, want)
		}
	}
	if out := good("inspect", "--model", at("told"), "--batch", "2"); !strings.Contains(out, "guidance distillation of") {
		t.Errorf("inspect says %s", out)
	}
	for want, args := range map[string][]string{
		"from 2 to 4":   {"sample", at("told"), "--guidance", "5"},
		"outside of":    {"sample", at("told"), "--guidance", "3", "--guidance-interval", "0.3,5"},
		"--guidance al": {"sample", at("told"), "--guidance", "3", "--guide", at("flow")},
		"want one mod":  {"sample", at("told"), "--model", at("flow")},
		`mean "kd"`:     with(points, "--objective", "distillation", "--out", at("none")),
		`mean "flowmap`: with(points, "--objective", "meanflow", "--out", at("none")),
		`mean "huber"`:  with(points, "--loss", "pseudo-huber", "--out", at("none")),
	} {
		if args[0] == "sample" {
			args = with(args, "--out", at("none.npz"), "--count", "2", "--steps", "2")
		}
		if _, code, err := fluxion(t, args...); code != exitUsage || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %d, %v, want %q", args, code, err, want)
		}
	}
}
